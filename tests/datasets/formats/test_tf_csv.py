"""The reader of tables with a header: tools' columns, splits, images, fractions, and faults."""

from __future__ import annotations

import logging

import pytest
from damage import damaged
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import dataset_or_fault, write_picture

from yolo import AnnotationError, load_dataset
from yolo.datasets.load import available_splits, recognise

HEADER = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
CAT = "a.jpg,200,100,cat,10,20,30,40\n"


def write_table(folder, text, name="labels.csv", encoding="utf-8"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def load_rows(folder, rows):
    """The dataset of a table; its images a.jpg and b.jpg are 100 high and 200 wide."""
    for name in ("a.jpg", "b.jpg"):
        write_picture(folder / name)
    return load_dataset(write_table(folder, HEADER + rows))


def test_small_dataset(tmp_path):
    dataset = load_rows(tmp_path, "b.jpg,200,100,dog,1.5,2,3,4\n" + CAT + "b.jpg,200,100,cat,5,6,7,8\n")
    assert recognise(tmp_path).format == "CSV"
    assert dataset.classes == ("cat", "dog")
    assert dataset.files == ["b.jpg", "a.jpg"]
    assert dataset.boxes.tolist() == [[1.5, 2, 3, 4], [5, 6, 7, 8], [10, 20, 30, 40]]  # from 0, the corners as they are
    assert dataset.labels.tolist() == [1, 0, 0]
    assert (dataset.repairs, dataset.left_out) == ({}, {})


TABLES = {
    "other order": "class,xmax,xmin,ymax,ymin,filename\ncat,30,10,40,20,a.jpg\n",
    "VoTT": '"image","xmin","ymin","xmax","ymax","label"\n"a.jpg",10.0,20.0,30.0,40.0,"cat"\n',
    "DeepForest": "image_path,xmin,ymin,xmax,ymax,label\nimages/a.jpg,10,20,30,40,cat\n",
    "makesense.ai": "label_name,bbox_x,bbox_y,bbox_width,bbox_height,image_name,image_width,image_height\n"
    "cat,10,20,20,20,a.jpg,200,100\n",
    "makesense.ai without a header": "cat,10,20,20,20,a.jpg,200,100\n",
    "a box in one field": 'image_id,width,height,bbox,class\na,200,100,"[10.0, 20.0, 20.0, 20.0]",cat\n',
    "corner and sides": "image,label,x,y,width,height\na.jpg,cat,10,20,20,20\n",
    "capitals and blanks": "File Name, Class , X Min,Y Min,X Max,Y Max\na.jpg , cat, 10, 20, 30, 40\n",
    "semicolons, decimal commas": HEADER.replace(",", ";") + "a.jpg;200;100;cat;10,0;20,0;30,0;40,0\n",
    "Excel's hint": "sep=;\r\n" + HEADER.replace(",", ";") + "a.jpg;200;100;cat;10;20;30;40\r\n",
    "tabs": HEADER.replace(",", "\t") + CAT.replace(",", "\t"),
    "byte order mark and CRLF": ("\ufeff" + HEADER + CAT).replace("\n", "\r\n"),
    "header twice": HEADER + CAT + HEADER,
    "fractions": HEADER + "a.jpg,200,100,cat,0.05,0.2,0.15,0.4\n",
    "Windows path": HEADER + CAT.replace("a.jpg", "C:\\Users\\me\\images\\a.jpg"),
    "no suffix": HEADER + CAT.replace("a.jpg", "a"),
    "empty lines": HEADER + "\n,,,,,,,\n" + CAT,
    "no line end": HEADER + CAT.rstrip(),
}


@pytest.mark.parametrize("text", TABLES.values(), ids=TABLES)
def test_tables_of_tools(tmp_path, text):
    write_picture(tmp_path / "images" / "a.jpg")
    write_table(tmp_path, text)
    dataset = load_dataset(tmp_path)
    assert dataset.classes == ("cat",)
    assert dataset.boxes[0].tolist() == pytest.approx([10, 20, 30, 40], abs=1e-5)
    assert dataset.path(0) == tmp_path / "images" / "a.jpg"
    assert (dataset.repairs, dataset.left_out) == ({}, {})


@pytest.mark.parametrize("row", ["a.jpg,10,20,30,40", 'a.jpg,"[10, 20, 20, 20]"'])
def test_a_table_without_classes_has_one(tmp_path, row):
    write_picture(tmp_path / "training_images" / "a.jpg")
    write_picture(tmp_path / "training_images" / "b.jpg")
    columns = "image,bbox" if "[" in row else "image,xmin,ymin,xmax,ymax"
    empty = "b.jpg" + "," * columns.count(",")
    path = write_table(tmp_path, f"{columns}\n{row}\n{empty}\n", name="train_solution_bounding_boxes (1).csv")
    dataset = load_dataset(tmp_path)
    assert (dataset.classes, dataset.boxes.tolist(), len(dataset)) == (("object",), [[10, 20, 30, 40]], 2)
    fault = "objects of a table without a column of classes, called 'object'"
    assert dataset.repair_places == {fault: [f"{path}:2"]}


def test_a_field_that_is_no_box_is_named(tmp_path):
    for index in range(21):
        write_picture(tmp_path / f"{index}.jpg")
    rows = "".join(f'{index}.jpg,cat,"[1, 2, 3, 4]"\n' for index in range(20))
    path = write_table(tmp_path, f'image,class,bbox\n{rows}20.jpg,cat,"[1, 2]"\n')
    assert list(load_dataset(tmp_path).left_out.values()) == [f"{path}:22: expected a number, got '[1, 2]'"]


def test_utf_16_of_excel(tmp_path):
    write_picture(tmp_path / "ä.jpg")
    write_table(
        tmp_path, HEADER.replace(",", "\t") + CAT.replace(",", "\t").replace("a.jpg", "ä.jpg"), encoding="utf-16"
    )
    assert load_dataset(tmp_path).files == ["ä.jpg"]


def test_commas_in_quotes(tmp_path):
    write_picture(tmp_path / "a, b.jpg")
    write_table(tmp_path, HEADER + '"a, b.jpg",200,100,"cat, big",10,20,30,40\n')
    dataset = load_dataset(tmp_path)
    assert (dataset.files, dataset.classes) == (["a, b.jpg"], ("cat, big",))


def test_a_row_without_object_is_background(tmp_path):
    dataset = load_rows(tmp_path, CAT + "b.jpg,200,100,,,,,\n")
    assert dataset.box_counts.tolist() == [1, 0]


def test_a_picture_resized_after_annotating(tmp_path):
    write_picture(tmp_path / "a.jpg", height=50, width=100)
    write_table(tmp_path, HEADER + CAT)
    assert load_dataset(tmp_path).boxes.tolist() == [[5, 10, 15, 20]]


@pytest.mark.parametrize("below", ["data", "annotations", ""])
def test_splits_by_the_files_names(tmp_path, below):
    """The layout of datitran/raccoon_dataset and of TensorFlow's tutorials; the whole set's table is not read."""
    for split in ("train", "test"):
        write_picture(tmp_path / "images" / split / "a.jpg")
        write_table(tmp_path, HEADER + CAT.replace("cat", f"of {split}"), f"{below}/{split}_labels.csv".lstrip("/"))
    write_table(tmp_path, HEADER + CAT, f"{below}/raccoon_labels.csv".lstrip("/"))
    assert available_splits(tmp_path) == ("train", "test")
    dataset = load_dataset(tmp_path, "test")
    assert (dataset.files, dataset.classes) == (["images/test/a.jpg"], ("of test", "of train"))
    assert load_dataset(tmp_path).labels.tolist() == [1, 0]
    assert load_dataset(tmp_path / below / "test_labels.csv").path(0) == tmp_path / "images" / "test" / "a.jpg"


def test_roboflows_folders(tmp_path):
    for split in ("train", "valid"):
        write_picture(tmp_path / split / "a.jpg")
        write_table(tmp_path, HEADER + CAT.replace("cat", f"of {split}"), f"{split}/_annotations.csv")
    assert available_splits(tmp_path) == ("train", "valid")
    assert load_dataset(tmp_path, "val").classes == ("of train", "of valid")
    assert load_dataset(tmp_path / "train").files == ["a.jpg"]


def test_folders_with_a_split_in_their_names(tmp_path):
    for split in ("train", "val"):
        write_picture(tmp_path / f"{split}_images" / "a.jpg")
        write_table(tmp_path, HEADER + CAT, f"{split}.csv")
    assert load_dataset(tmp_path, "val").files == ["val_images/a.jpg"]


def test_a_folder_train_with_a_train_csv(tmp_path):
    for split in ("train", "val"):
        write_picture(tmp_path / split / "a.jpg")
        write_table(tmp_path, HEADER + CAT, f"{split}/{split}.csv")
    assert available_splits(tmp_path) == ("train", "val")


def test_several_tables_are_one_dataset(tmp_path):
    for name in ("a", "b"):
        write_picture(tmp_path / f"{name}.jpg")
        write_table(tmp_path, HEADER + CAT.replace("a.jpg", f"{name}.jpg"), f"{name}.csv")
    assert load_dataset(tmp_path).files == ["a.jpg", "b.jpg"]


def test_an_object_twice_and_one_without_class(tmp_path):
    dataset = load_rows(tmp_path, CAT + CAT + CAT.replace("cat", " "))
    table = f"{tmp_path}/labels.csv"
    assert len(dataset.boxes) == 1
    assert dataset.repair_places == {
        "objects without a class, dropped": [f"{table}:4"],
        "objects repeated in their file, taken once": [f"{table}:3"],
    }


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a.jpg,200,100,cat,x,2,3,4", "expected a number, got 'x'"),
        ("a.jpg,200,100,cat,,2,3,4", "expected a number, got ''"),
        ("a.jpg,200,100,cat,1,2,3", "expected 8 fields, got 7; mend the line"),
        (",200,100,cat,1,2,3,4", "it names no picture; add the name or remove the line"),
        ("a.jpg,200,100,cat,,,,", "'cat' has no box; add it or remove the line"),
        ("c.jpg,200,100,cat,1,2,3,4", "there is no picture 'c.jpg'"),
    ],
)
def test_rows_that_cannot_be_used_are_left_out(tmp_path, row, reason):
    dataset = load_rows(tmp_path, f"{CAT}{row}\n")
    place = f"{tmp_path}/labels.csv:3"
    assert (len(dataset.boxes), dataset.left_out) == (1, {place: f"{place}: {reason}"})
    with pytest.raises(AnnotationError) as caught:
        load_dataset(tmp_path, strict=True)
    assert str(caught.value) == f"{place}: {reason}"


def test_places_are_lines(tmp_path):
    dataset = load_rows(tmp_path, CAT + "a.jpg,200,100,cat,5,5,5,9\n")
    assert [*dataset.repair_places.values()] == [[f"{tmp_path}/labels.csv:3"]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a.jpg,200,100,c\xe4t,1,2,3,4\n", r"not a text file in UTF-8 \(after line \d\); save it as UTF-8"),
        (b'a.jpg,200,100,"' + b"cat" * 60_000, r"not valid CSV \(field larger than field limit .*quote"),
    ],
)
def test_files_that_are_no_table(tmp_path, content, message):
    write_picture(tmp_path / "a.jpg")
    path = tmp_path / "labels.csv"
    path.write_bytes(HEADER.encode() + content)
    with pytest.raises(AnnotationError, match=message) as caught:
        load_dataset(path)
    assert str(caught.value).startswith(str(path))


def test_unknown_columns(tmp_path):
    """Label Studio's CSV has its objects as JSON in a cell."""
    write_picture(tmp_path / "a.jpg")
    path = write_table(tmp_path, 'image,id,label,annotator\na.jpg,1,"[{}]",2\n')
    message = (
        f"{path}: a table whose columns are not known: 'image, id, label, annotator'; wanted are filename, class, "
        "xmin, ymin, xmax, ymax (and width, height); or, without a header, path, x1, y1, x2, y2, class"
    )
    for place in (path, tmp_path):
        with pytest.raises(AnnotationError) as caught:
            load_dataset(place)
        assert str(caught.value) == message


def test_a_table_about_something_else_is_not_blamed(tmp_path):
    write_table(tmp_path, "epoch,loss\n1,0.5\n", "results.csv")
    with pytest.raises(AnnotationError, match="no dataset in this folder"):
        load_dataset(tmp_path)


def test_pictures_elsewhere_and_pictures_that_no_row_names(tmp_path, caplog):
    path = write_table(tmp_path / "set", HEADER + CAT)
    for name in ("a.jpg", "b.jpg"):
        write_picture(tmp_path / "elsewhere" / name)
    with pytest.raises(AnnotationError, match=r"none of its 1 pictures is found, such as 'a\.jpg'.*\(--images DIR\)"):
        load_dataset(path)
    with pytest.raises(AnnotationError, match="nowhere: there is no such folder of pictures"):
        load_dataset(path, images=tmp_path / "nowhere")
    with caplog.at_level(logging.INFO):
        assert load_dataset(path, images=tmp_path / "elsewhere").path(0) == tmp_path / "elsewhere" / "a.jpg"
    assert f"1 pictures that no annotation names, left out ({tmp_path}/elsewhere/b.jpg)" in caplog.text


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_gives_a_dataset_or_an_error(tmp_path, data):
    if not (tmp_path / "a.jpg").exists():
        write_picture(tmp_path / "a.jpg")
    write_table(tmp_path, "").write_bytes(damaged(data, (HEADER + CAT + '"a.jpg",200,100,dög,1.5,2,3,4\n').encode()))
    dataset_or_fault(tmp_path)


ROWS = st.tuples(st.sampled_from(["a.jpg", "b", ""]), st.text(max_size=4), st.floats(), st.floats(width=16))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(st.sampled_from(["a.jpg", "b", ""]), st.text(max_size=4), st.floats(), st.floats(width=16)),
        max_size=4,
    )
)
def test_any_rows_give_a_dataset_or_an_error(tmp_path, rows):
    lines = [f"{name},200,{y},{label},{x},{y},{y},{x}\n" for name, label, x, y in rows]
    if not (tmp_path / "a.jpg").exists():
        write_picture(tmp_path / "a.jpg")
    write_table(tmp_path, "").write_bytes((HEADER + CAT + "".join(lines)).encode(errors="surrogatepass"))
    dataset_or_fault(tmp_path)
