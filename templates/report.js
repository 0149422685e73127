// Interaction: the verdict with another margin or price, filters, sortable tables, tooltips. The page works without it.
"use strict";

const page = JSON.parse(document.getElementById("explore-data").textContent);
const form = document.getElementById("explore");

// ---- the verdict rule; a test compares it with fashionbench/judging/rule.py over a grid

function judge(device, margin, price) {
  const [low, , high] = device.gain;
  const lowest = low - device.allowance;
  const [affordable, overpriced] = compareWithPrice(device, lowest, price);
  if (lowest >= margin && affordable) return "WORTH IT";
  if (device.slowdown === null) return "CANNOT TELL";
  const [fastest, , slowest] = device.slowdown;
  if (slowest <= 1 && lowest >= 0 && (slowest < 1 || lowest > 0)) return "WORTH IT";
  if (fastest > 1 && (high < margin || overpriced)) return "NOT WORTH IT";
  const alike = 1 / page.tie_slowdown <= fastest && slowest <= page.tie_slowdown;
  return -margin <= low && high <= margin && alike ? "TIE" : "CANNOT TELL";
}

function compareWithPrice(device, lowest, price) {
  if (price === null || price === Infinity) return [true, false];
  if (device.extra_minutes === null) return [false, false];
  const [least, extra, most] = device.extra_minutes;
  const [low, estimate, high] = [lowest, device.gain[1], device.gain[2]].map((gain) => 100 * price * gain);
  const net = estimate - extra;
  return [net - Math.hypot(estimate - low, most - extra) >= 0, net + Math.hypot(high - estimate, extra - least) < 0];
}

function minutesFor(price, device) {
  if (device.price_per_hour === null) return price;
  return device.price_per_hour === 0 ? null : (60 * price) / device.price_per_hour;
}

function showVerdict() {
  const [margin, price] = ["margin", "price"].map((name) => form.elements[name]);
  const usable = [margin, price].every(({ validity }) => !validity.badInput && !validity.rangeUnderflow);
  if (!usable || margin.value === "") {
    form.elements.verdict.textContent = "not defined: give numbers of 0 or more";
    return;
  }
  const states = page.devices.map((device) =>
    judge(device, Number(margin.value) / 100, price.value === "" ? null : minutesFor(Number(price.value), device)),
  );
  const each = states.map((state, index) => `${state} on ${page.devices[index].device}`).join(", ");
  form.elements.verdict.textContent = states.every((state) => state === states[0])
    ? states[0]
    : `CANNOT TELL: it depends on the device (${each})`;
}

// ---- filters by device, seed and class

function applyFilters() {
  const chosen = (name) => form.elements[name]?.value ?? "";
  for (const part of document.querySelectorAll("[data-device]"))
    part.hidden = chosen("device") !== "" && part.dataset.device !== chosen("device");
  for (const drawn of document.querySelectorAll("[data-seed]"))
    drawn.classList.toggle("dim", chosen("seed") !== "" && drawn.dataset.seed !== chosen("seed"));
  for (const row of document.querySelectorAll("tbody tr")) {
    const name = row.cells[0].textContent;
    row.classList.toggle("dim", chosen("class") !== "" && page.classes.includes(name) && name !== chosen("class"));
  }
}

// ---- sorting: numbers by value, text alphabetically, missing values last

function valueOf(row, column) {
  const text = row.cells[column].textContent.trim();
  const number = Number.parseFloat(text.replaceAll(",", "").replace("−", "-"));
  return Number.isNaN(number) ? text : number;
}

function compare(one, other) {
  if (typeof one === typeof other) return typeof one === "number" ? one - other : one.localeCompare(other);
  return typeof one === "number" ? -1 : 1;
}

function sort(table, column, header) {
  const descending = header.getAttribute("aria-sort") === "ascending";
  for (const each of table.tHead.querySelectorAll("[aria-sort]")) each.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const body = table.tBodies[0];
  const rows = [...body.rows].sort((one, other) => compare(valueOf(one, column), valueOf(other, column)));
  body.append(...(descending ? rows.reverse() : rows));
}

for (const table of document.querySelectorAll("table")) {
  if (!table.tHead || table.tBodies[0].rows.length < 3) continue;
  [...table.tHead.rows].at(-1).querySelectorAll("th").forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    button.addEventListener("click", () => sort(table, column, header));
    header.append(button);
  });
}

// ---- tooltips: a drawn group has one text, or one for each of its markers

const tooltip = document.getElementById("tooltip");

function tooltipAt(target) {
  const group = target.closest?.("[data-tooltip]");
  if (!group) return "";
  const texts = group.dataset.tooltip.split("|");
  return texts.length === 1 ? texts[0] : (texts[[...group.querySelectorAll("use")].indexOf(target)] ?? "");
}

document.addEventListener("pointermove", (event) => {
  tooltip.textContent = tooltipAt(event.target);
  tooltip.hidden = tooltip.textContent === "";
  const left = Math.min(event.clientX + 14, window.innerWidth - tooltip.offsetWidth - 8);
  tooltip.style.transform = `translate(${Math.max(8, left)}px, ${event.clientY + 16}px)`;
});

if (page.devices.length) {
  form.hidden = false;
  for (const kind of ["input", "change"]) form.addEventListener(kind, () => { showVerdict(); applyFilters(); });
  form.addEventListener("reset", () => setTimeout(() => { showVerdict(); applyFilters(); }));
  showVerdict();
}
