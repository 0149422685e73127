"""What would fail after an hour fails in the first seconds."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from cases import CPU
from torch.nn.modules.module import register_module_forward_pre_hook

from fashionbench.data.dataset import Dataset
from fashionbench.devices.load import CpuLoad
from fashionbench.errors import InputError
from fashionbench.recipe.fields import Augmentation, Recipe
from fashionbench.running.plan import RunOptions, make_plan
from fashionbench.running.preflight import check_fit, decide_rewriting, decide_self_check, estimate_seconds, tell_load
from fashionbench.training.case import Case


class Load:
    """Stands for the load of a machine."""

    def __init__(self, *shares: float | None) -> None:
        self.left = [*shares]

    def share(self) -> float | None:
        return self.left.pop(0)


@pytest.mark.parametrize(
    ("load", "lines"), [(Load(0.52), 1), (Load(None, 0.52), 1), (Load(0.05), 0), (Load(None, None), 0), (None, 0)]
)
def test_a_busy_machine_is_told_in_one_line(load: CpuLoad | None, lines: int) -> None:
    told: list[str] = []

    tell_load(load, told.append)

    assert len(told) == lines
    assert all(
        line.startswith("The machine is busy: other processes use 52\N{NO-BREAK SPACE}% of the CPUs.") for line in told
    )


NETS = """
import os
import torch
from torch import nn
from torch.nn import functional

class Net(nn.Module):
    def __init__(self, shape, classes, end=lambda logits: logits, in_training=lambda logits: logits):
        super().__init__()
        self.inside = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(784), nn.Linear(784, classes))
        self.end, self.in_training = end, in_training
    def forward(self, images):
        return (self.in_training if self.training else self.end)(self.inside(images))

def dictionary(shape, classes): return Net(shape, classes, lambda logits: {"logits": logits})
def classes_only(shape, classes): return Net(shape, classes, lambda logits: logits.argmax(1))
def one_hot(shape, classes): return Net(shape, classes, lambda logits: functional.one_hot(logits.argmax(1), 10))
def fails(shape, classes): return Net(shape, classes, lambda logits: logits[0, 0, 0])
def softmax(shape, classes): return Net(shape, classes, *[lambda logits: logits.softmax(1)] * 2)
def frozen(shape, classes): return Net(shape, classes).requires_grad_(False)
def frozen_norm(shape, classes):
    net = Net(shape, classes)
    net.inside[1].eval()
    return net
def number(): return 3
def hooked(shape, classes):
    net = Net(shape, classes)
    net.inside[2].register_forward_hook(lambda *_: None)
    return net
def kills_itself(shape, classes):
    os.kill(os.getpid(), 9)
class Counting(Net):
    calls = 0
    def forward(self, images):
        self.calls += 1
        return super().forward(images)
"""


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"nets_{abs(hash(tmp_path))}"
    (tmp_path / f"{name}.py").write_text(NETS)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def plain_case(model: str) -> Case:
    return Case(model=model, device=CPU, recipe=Recipe(name="x"), seed=0, execution="plain")


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (
            "dictionary",
            r"gives dict for 2 images of 1 x 28 x 28 in evaluation\. Expected .*in evaluation\. Return the logits",
        ),
        ("classes_only", r"gives \(2,\), torch\.int64 for 2 images of 1 x 28 x 28 in evaluation"),
        ("one_hot", r"gives \(2, 10\), torch\.int64 for 2 images"),
        ("fails", r"fails on images of 1 x 28 x 28 \(IndexError: "),
        ("frozen", r"All weights of model 'nets_\d+:frozen' are frozen\. Expected at least one parameter"),
    ],
)
def test_a_network_that_cannot_be_scored_or_trained_is_refused_before_it_trains(
    sample: Dataset, nets: str, net: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        check_fit(plain_case(f"{nets}:{net}"), sample)


@pytest.mark.parametrize(
    ("net", "remark"),
    [
        ("softmax", "its outputs are probabilities"),
        ("Counting", "calls changes in training and is not part of state_dict()"),
        ("frozen_norm", "its builder leaves inside.1 in evaluation mode"),
    ],
)
def test_a_peculiar_network_is_told_in_one_line(sample: Dataset, nets: str, net: str, remark: str) -> None:
    remarks = check_fit(plain_case(f"{nets}:{net}"), sample)

    assert [each.partition(f":{net}: ")[2][: len(remark)] for each in remarks[1:]] == [remark]
    assert all("\n" not in each for each in remarks)


def test_the_call_of_a_users_network_is_told(sample: Dataset, nets: str) -> None:
    assert check_fit(plain_case(f"{nets}:Net"), sample) == (
        f"{nets}:Net: called as Net(shape=(1, 28, 28), classes=10)",
    )


def test_what_builds_no_network_is_refused(sample: Dataset, nets: str) -> None:
    with pytest.raises(InputError, match=r"Model '\w+:number' gives int\. Expected a class or a function that gives a"):
        check_fit(plain_case(f"{nets}:number"), sample)


def test_what_is_rewritten_is_decided_once_and_the_rest_is_named_in_a_line(sample: Dataset, nets: str) -> None:
    models = (f"{nets}:Net", f"{nets}:hooked", f"{nets}:kills_itself", "logreg")
    plan = make_plan(RunOptions.read({"models": ",".join(models), "devices": "cpu", "seeds": "2"}))
    told: list[str] = []

    decided = decide_rewriting(plan, plan.cases(), sample.task, told.append)

    assert decided.rewritten == dict(zip(models, (True, False, False, True), strict=True))
    assert [case.rewritten for case in decided.cases()] == [True, False, False, True] * 2
    assert decided.cases() == plan.cases()
    assert [line.partition(" stay as they are")[0] for line in told] == [f"{each}: its layers" for each in models[1:3]]
    assert told[0].endswith("(somebody has hooked on to it)")


def test_plain_needs_no_decision(sample: Dataset, nets: str) -> None:
    plan = make_plan(RunOptions.read({"models": f"{nets}:hooked", "devices": "cpu", "execution": "plain"}))

    assert decide_rewriting(plan, plan.cases(), sample.task, pytest.fail) == plan


def test_a_baseline_fits_any_images(sample: Dataset) -> None:
    assert check_fit(plain_case("dummy"), sample) == ()


@pytest.mark.parametrize("execution", ["fast", "plain"])
def test_an_estimate_grows_with_the_epochs(sample: Dataset, execution: str) -> None:
    short, long = (
        Case(
            model="fashioncnn",
            device=CPU,
            recipe=Recipe(name="x", epochs=epochs, is_result=False),
            seed=0,
            execution="fast" if execution == "fast" else "plain",
        )
        for epochs in (1, 1_000)
    )

    assert estimate_seconds(long, sample) > 20 * estimate_seconds(short, sample) > 0


@pytest.mark.parametrize(("erase", "darkest"), [(0.0, 1.0), (1.0, 0.0)])
def test_an_estimate_includes_the_augmentation(sample: Dataset, erase: float, darkest: float) -> None:
    white = replace(sample, train_images=torch.full_like(sample.train_images, 255))
    recipe = Recipe(name="x", epochs=1, is_result=False, augment=Augmentation(erase=erase))
    seen = list[float]()
    hook = register_module_forward_pre_hook(lambda _, inputs: seen.append(float(inputs[0].detach().min())))
    try:
        estimate_seconds(Case(model="fashioncnn", device=CPU, recipe=recipe, seed=0, execution="plain"), white)
    finally:
        hook.remove()

    assert seen[0] == darkest  # of the network's input


@pytest.mark.parametrize(
    ("seeds", "changes", "seconds", "repeated"),
    [
        ("3", {}, 6.0, True),  # 1 of 21 parts of the run
        ("1", {}, 6.0, False),  # 1 of 7
        ("3", {}, 0.0, False),  # the small model fails
        ("3", {"until_decided": "20"}, 2.0, False),  # 1 of 9, if the verdict is decided by three seeds
        ("3", {"recipe": "smoke"}, 6.0, False),
    ],
)
def test_a_run_repeats_a_training_where_that_takes_little_of_it(
    seeds: str, changes: dict[str, str], seconds: float, *, repeated: bool
) -> None:
    plan = make_plan(RunOptions.read({"devices": "cpu", "seeds": seeds, **changes}))
    first, second, *_ = plan.cases()
    known = {(first.model, first.device): min(1.0, seconds), (second.model, first.device): seconds}
    said: list[str] = []

    decided = decide_self_check(plan, plan.cases(), known, said.append)
    of_the_rest = decide_self_check(plan, plan.cases()[1:], known, said.append)

    assert (decided.self_check, of_the_rest.self_check) == (repeated, False)
    assert len(said) == repeated
    assert decided.repeated(first) == repeated
    assert not decided.repeated(second)
