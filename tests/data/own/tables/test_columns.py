"""The label and the pixels of a CSV are found wherever they stand, or a column is named that is neither."""

from pathlib import Path

import numpy as np
import pytest
from tables import LABELS, NAMES, PIXELS, expected, read, refusal, write

from fashionbench.data.dataset import Reading
from fashionbench.data.own.tables.table import load_table


@pytest.mark.parametrize("name", ["label", "Label", "CLASS", "target", " y "])
@pytest.mark.parametrize("place", [0, 20, 64])
def test_the_label_is_found_by_its_name_wherever_it_stands(tmp_path: Path, name: str, place: int) -> None:
    names = [*NAMES[:place], name, *NAMES[place:]]
    columns = [PIXELS[:, :place], LABELS, PIXELS[:, place:]]

    assert read(write(tmp_path / "own.csv", columns, names)) == (expected(), [])


def test_the_first_column_is_the_label_where_the_others_are_pixels(tmp_path: Path) -> None:
    said = ["own.csv: column 'digit' is the label"]

    assert read(write(tmp_path / "own.csv", [LABELS, PIXELS], ["digit", *NAMES])) == (expected(), said)


def test_the_only_column_without_a_number_in_its_name_is_the_label(tmp_path: Path) -> None:
    path = write(tmp_path / "own.csv", [PIXELS, LABELS], [*NAMES, "breed"])

    assert read(path) == (expected(), ["own.csv: column 'breed' is the label"])


@pytest.mark.parametrize("name", ["file", "image_id"])
def test_a_list_of_files_is_refused_with_what_to_do(tmp_path: Path, name: str) -> None:
    files = np.array([f"{number}.png" for number in range(100)])

    assert "Give a table of pixels; images in files of their own belong in one folder per class." in refusal(
        write(tmp_path / "own.csv", [files, LABELS], [name, "label"])
    )


def test_a_table_of_pixels_alone_is_told_to_need_the_labels(tmp_path: Path) -> None:
    words = "Put the labels, which may be in a table of their own, into a column of this one."
    pixels = PIXELS.copy()
    pixels[:, 0] = LABELS  # the first column looks like labels

    assert words in refusal(write(tmp_path / "own.csv", [pixels], None))


def test_pixels_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    by_letters = sorted(range(64), key=lambda number: f"pixel{number}")  # pixel0, pixel1, pixel10, pixel11
    grid = [f"{row}x{column}" for row in range(1, 9) for column in range(1, 9)]

    names = ["label", *(f"pixel{number}" for number in by_letters)]
    assert read(write(tmp_path / "a.csv", [LABELS, PIXELS[:, by_letters]], names))[0] == expected()
    assert read(write(tmp_path / "b.csv", [LABELS, PIXELS], ["label", *grid]))[0] == expected()


@pytest.mark.parametrize("form", ["x{1}_y{0}", "x{1}y{0}", "col{1}_row{0}", "c{1}r{0}", "r{0}c{1}", "row {0} col {1}"])
def test_a_pixels_name_may_say_its_column_before_its_row(tmp_path: Path, form: str) -> None:
    names = [form.format(row, column) for row in range(8) for column in range(8)]

    assert read(write(tmp_path / "own.csv", [LABELS, PIXELS], ["label", *names]))[0] == expected()


def test_columns_that_say_something_else_of_an_image_are_not_used(tmp_path: Path) -> None:
    age, names = np.arange(100), np.array(["a"] * 100)

    found, said = read(write(tmp_path / "own.csv", [age, LABELS, PIXELS, names], ["age", "label", *NAMES, "file"]))
    chosen, _ = read(
        write(tmp_path / "two.csv", [age, LABELS, PIXELS], ["age", "kind", *NAMES]), Reading(label_column="kind")
    )

    assert found == chosen == expected()
    assert said == ["own.csv: column 'age', 'file' not used"]


def test_numbers_that_only_count_are_a_header(tmp_path: Path) -> None:
    names = [str(number) for number in range(65)]  # as pandas writes a frame without names

    found, said = read(write(tmp_path / "own.csv", [LABELS, PIXELS], names))

    assert found == expected()
    assert said == ["own.csv: column '0' is the label"]


def test_a_column_that_numbers_the_rows_is_no_pixel(tmp_path: Path) -> None:
    rows = np.arange(100)

    for name in ("", "Unnamed: 0", "id", "index"):
        found, said = read(write(tmp_path / "own.csv", [rows, LABELS, PIXELS], [name, "label", *NAMES]))

        assert found == expected()
        assert said == [f"own.csv: column {name!r} not used"]


def test_a_label_in_the_last_column_is_found_without_a_header(tmp_path: Path) -> None:
    pixels = PIXELS.copy()
    pixels[:, 0] = 0  # as in many sets of digits: the corner is empty

    found, said = read(write(tmp_path / "own.csv", [pixels, LABELS], None))

    assert found == expected(pixels)
    assert said == ["own.csv: no header row; the last column is the label"]


def test_without_a_header_either_end_may_not_be_the_label(tmp_path: Path) -> None:
    pixels = PIXELS.copy()
    pixels[:, 0] = LABELS

    for names in (None, [str(number) for number in range(65)]):
        assert "and both its first column and its last could be it. Expected a header row" in refusal(
            write(tmp_path / "own.csv", [pixels, LABELS], names)
        )


SMOOTH = np.stack([np.add.outer(np.arange(8), np.arange(8) * 3) + 5 * channel for channel in (0, 1, 20)])
COLOUR = (SMOOTH[None] + np.arange(100)[:, None, None, None]).astype(np.uint8)  # (100, 3, 8, 8)
ONES_AND_TWOS = np.arange(100) % 2 + 1


def test_three_channels_stand_next_to_each_other(tmp_path: Path) -> None:
    pixels = COLOUR.transpose(0, 2, 3, 1).reshape(100, -1)
    names = ["label", *(f"pixel{number:04}" for number in range(192))]

    found, said = read(write(tmp_path / "own.csv", [ONES_AND_TWOS, pixels], names))

    assert found == expected(COLOUR, ONES_AND_TWOS)
    assert said == ["own.csv: 8 x 8 pixels in colour, red, green and blue of a pixel next to each other"]


@pytest.mark.parametrize("form", ["{0}{1}", "{2}_{1}", "pixel{1}_{0}", "{0}_{3}_{4}"])
def test_names_say_which_column_is_which_channel(tmp_path: Path, form: str) -> None:
    names = [
        form.format("RGB"[channel], number, ("red", "green", "blue")[channel], number // 8, number % 8)
        for channel in range(3)
        for number in range(64)
    ]

    found, said = read(write(tmp_path / "own.csv", [ONES_AND_TWOS, COLOUR.reshape(100, -1)], ["label", *names]))

    assert found == expected(COLOUR, ONES_AND_TWOS)
    assert said == ["own.csv: 8 x 8 pixels in colour, channels by the names of the columns"]


def test_channels_that_follow_each_other_without_names_are_found_by_their_smoothness(tmp_path: Path) -> None:
    names = ["label", *(f"pixel{number}" for number in range(192))]

    found, said = read(write(tmp_path / "own.csv", [ONES_AND_TWOS, COLOUR.reshape(100, -1)], names))

    assert found == expected(COLOUR, ONES_AND_TWOS)
    assert said == ["own.csv: 8 x 8 pixels in colour, all red pixels first"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["class", "label", *NAMES[:63]], "columns 'class' and 'label' could be the label. Expected one column"),
        (["pixel64", *NAMES], "no column among 65 could be the label. Expected one column with the name class, label"),
        (["label", *NAMES[:63], "weight"], "has 63 columns of pixels in 65 columns ('weight' not used). Expected a"),
        (["label", *NAMES[:63], "usage"], "column 'usage' has '0'. Expected train, validation or test for each image"),
        (["set", *NAMES[:62], "breed", "weight"], "columns 'set' and 'breed' and 'weight' could be the label"),
        (["pixel64", *NAMES[:62], "breed", "weight"], "columns 'breed' and 'weight' could be the label. Expected"),
        (["label", *NAMES[:63], "width9"], "column 'width9' is neither the label nor a pixel"),
        (["label", *NAMES[:63], "Pixel3"], "two columns are pixel 'pixel3'. Expected a name of its own"),
        (["label", *NAMES[:63], "id"], "has 63 columns of pixels in 65 columns. Expected a column for the label"),
        (["label", *NAMES[:40]], "has 41 cells in its first row and 65 in the next"),
    ],
)
def test_columns_that_do_not_make_an_image_are_refused(tmp_path: Path, names: list[str], words: str) -> None:
    found = refusal(write(tmp_path / "own.csv", [LABELS, PIXELS], names))

    assert words in found


@pytest.mark.parametrize("wanted", ["breed2", "BREED2", "3"])
def test_the_label_is_the_column_that_the_user_names(tmp_path: Path, wanted: str) -> None:
    names = [*NAMES[:2], "breed2", *NAMES[2:]]
    path = write(tmp_path / "own.csv", [PIXELS[:, :2], LABELS, PIXELS[:, 2:]], names)

    found, said = read(path, Reading(label_column=wanted))

    assert found == expected()
    assert said == ["own.csv: column 'breed2' is the label"]


@pytest.mark.parametrize("wanted", ["3", "65", "0", "66", "no"])
def test_without_a_header_the_label_is_named_by_its_number(tmp_path: Path, wanted: str) -> None:
    path = write(tmp_path / "own.csv", [PIXELS[:, :2], LABELS, PIXELS[:, 2:]], None)

    if wanted == "3":
        found, said = read(path, Reading(label_column=wanted))

        assert found == expected()
        assert said == ["own.csv: no header row; column 3 is the label"]
    elif wanted != "65":
        assert f"has no columns with the name '{wanted}'. Expected one of its 65 columns. Give" in refusal(
            path, Reading(label_column=wanted)
        )


def test_images_that_are_not_square_take_their_height_and_width_from_the_user(tmp_path: Path) -> None:
    path = write(tmp_path / "own.csv", [LABELS, PIXELS[:, :56]], ["label", *NAMES[:56]])

    found = load_table(path, lambda _: None, Reading(image_size=(7, 8)))

    assert found.train_images.shape[1:] == (1, 7, 8)
    assert "or give height and width with --image-size, such as 20x30" in refusal(path)
    assert "has 56 columns of pixels" in refusal(path, Reading(image_size=(5, 8)))
