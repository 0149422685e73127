// What the page adds where scripts run: the rule under another margin and price, what to show, sorting, a read-out.
"use strict";

const page = JSON.parse(document.getElementById("explore-data").textContent);
const form = document.getElementById("explore");

// ---- the rule, as fashionbench/report/verdict.py has it; a test holds the two together over a grid

function judge(device, margin, price) {
  const surely = device.gain_low - device.allowance;
  const affordable = price === null || device.extra_minutes <= price * 100 * surely;
  const tooDear = price !== null && device.extra_minutes > Math.max(0, price * 100 * device.gain_high);
  if (surely >= margin && affordable) return "WORTH IT";
  if (device.slowdown_low > 1 && (device.gain_high < margin || tooDear)) return "NOT WORTH IT";
  const within = -margin <= device.gain_low && device.gain_high <= margin;
  const alike = 1 / page.tie_slowdown <= device.slowdown_low && device.slowdown_high <= page.tie_slowdown;
  return within && alike ? "TIE" : "CANNOT TELL";
}

function answer() {
  const margin = Number(form.elements.margin.value);
  const step = Number(form.elements.price.value);
  const price = step === Number(form.elements.price.max) ? null : step * page.price_step;
  const states = page.devices.map((device) => judge(device, margin / 100, price));
  const same = states.every((state) => state === states[0]);
  form.elements.margin.nextElementSibling.textContent = `${margin.toFixed(2)} pp`;
  form.elements.price.nextElementSibling.textContent = price === null ? "any price" : `${price.toFixed(1)} min per pp`;
  form.elements.verdict.textContent = same
    ? states[0]
    : states.map((state, place) => `${state} on ${page.devices[place].device}`).join(", ");
}

// ---- what to show

function show() {
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

// ---- sorting: numbers by their value, all else by its letters

function valueOf(row, column) {
  const text = row.cells[column].textContent.trim();
  const number = Number.parseFloat(text.replaceAll(",", "").replace("−", "-"));
  return Number.isNaN(number) ? text : number;
}

function compare(one, other) {
  if (typeof one === typeof other) return typeof one === "number" ? one - other : one.localeCompare(other);
  return typeof one === "number" ? -1 : 1; // what is missing comes last
}

function sort(table, column, head) {
  const falling = head.getAttribute("aria-sort") === "ascending";
  for (const each of table.tHead.querySelectorAll("[aria-sort]")) each.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", falling ? "descending" : "ascending");
  const body = table.tBodies[0];
  const rows = [...body.rows].sort((one, other) => compare(valueOf(one, column), valueOf(other, column)));
  body.append(...(falling ? rows.reverse() : rows));
}

for (const table of document.querySelectorAll("table")) {
  if (!table.tHead || table.tBodies[0].rows.length < 3) continue;
  [...table.tHead.rows].at(-1).querySelectorAll("th").forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(table, column, head));
    head.append(button);
  });
}

// ---- the read-out beside the pointer: a drawn group's words, one for each of its marks

const readOut = document.getElementById("read-out");

function wordsAt(target) {
  const group = target.closest?.("[data-tell]");
  if (!group) return "";
  const words = group.dataset.tell.split("|");
  return words.length === 1 ? words[0] : (words[[...group.querySelectorAll("use")].indexOf(target)] ?? "");
}

document.addEventListener("pointermove", (event) => {
  readOut.textContent = wordsAt(event.target);
  readOut.hidden = readOut.textContent === "";
  const left = Math.min(event.clientX + 14, window.innerWidth - readOut.offsetWidth - 8);
  readOut.style.transform = `translate(${Math.max(8, left)}px, ${event.clientY + 16}px)`;
});

if (page.devices.length) {
  form.hidden = false;
  for (const kind of ["input", "change"]) form.addEventListener(kind, () => { answer(); show(); });
  form.addEventListener("reset", () => setTimeout(() => { answer(); show(); }));
  answer();
}
