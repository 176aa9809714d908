"""Table of all kinds of findings: how bad each is, what it is called, and what to do."""

from __future__ import annotations

from typing import Literal, NamedTuple

from yolo.datasets.annotations import repair

Severity = Literal["error", "warning", "note"]
"""Weight of a finding: something is wrong or lost; something is probably wrong; something is worth knowing."""
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""All severities, worst first."""


class Kind(NamedTuple):
    """Kind of finding."""

    severity: Severity
    title: str
    """Name in the report, in the plural."""
    remedy: str
    """Advice in the report."""


SPLIT = "divide the data by recording (yolov3 data split DATA OUT --group PATTERN)"
LEFT_OUT = "mend or remove them; --fix leaves them out"
MEND_BOX = "draw them again if the objects are real; --fix writes the boxes as they are read"
JOIN = "give them one name (--merge NEW=A+B, or in the annotations)"
SIZES = "look at a few (yolov3 data view DATA), and annotate again or restore the pictures if the boxes do not fit"

KINDS = {
    "not_loaded": Kind("error", "the dataset or a split of it does not load", "mend this first; all else waits for it"),
    "unreadable": Kind("error", "pictures that cannot be read", f"copy or export them again; {LEFT_OUT}"),
    "left_out": Kind("error", "annotations that cannot be used, left out", LEFT_OUT),
    "same_in_splits": Kind(
        "error",
        "pictures that are in two splits, so that the metrics flatter",
        "remove them from one of the two; --fix takes them out of train",
    ),
    "wrong_size": Kind("error", "annotated sizes that are not the picture's, so that boxes may be wrong", SIZES),
    "class_not_trained": Kind(
        "error", "classes that no box in train has, but another split does", "divide the data anew, or drop the class"
    ),
    "near_in_splits": Kind(
        "warning",
        "pictures that look like one of another split, so that the metrics flatter",
        f"if they show one scene, {SPLIT}",
    ),
    "frames_in_splits": Kind("warning", "frames of one recording in two splits, so that the metrics flatter", SPLIT),
    "same_annotations": Kind(
        "warning",
        "pictures with the name, size and boxes of one in another split",
        "yolov3 data check DATA compares the pictures themselves",
    ),
    "duplicate": Kind(
        "warning", "pictures that are there twice, byte for byte", "remove one of the two; --fix leaves it out"
    ),
    "box_doubled": Kind("warning", "boxes drawn twice around one object", "remove one of the two; --fix keeps one"),
    "class_spelling": Kind(
        "warning",
        "class names that differ by case or blanks alone",
        "give them one name (--merge NEW=A+B, or in the annotations); --fix joins them",
    ),
    "class_synonym": Kind("warning", "class names that mean the same", JOIN),
    "class_not_measured": Kind(
        "warning",
        "classes that a split has no box of, so that it measures nothing about them",
        "divide the data anew, each class into every split (yolov3 data split)",
    ),
    "mostly_tiny": Kind(
        "warning",
        "boxes too small to be found at this --size, more than a tenth of all",
        "train with a larger --size, or cut the pictures into tiles",
    ),
    "mostly_empty": Kind(
        "warning",
        "pictures without a box, more than half of all",
        "if they show objects, their labels are missing, misnamed or elsewhere",
    ),
    "near_duplicate": Kind(
        "note",
        "pictures that look like another of their split",
        "thin them out, or keep them: they teach little more",
    ),
    "no_boxes": Kind("note", "pictures without a box", "nothing to do if they show no object: they teach what is none"),
    "unlisted": Kind(
        "note", "pictures beside these that no annotation names", "annotate them, or leave them: they are not used"
    ),
    "two_classes": Kind(
        "note", "boxes of two classes around one object", "correct if both are right; else remove the wrong one"
    ),
    "tiny": Kind("note", "boxes too small to be found at this --size", "train with a larger --size, if they matter"),
    "fills_picture": Kind("note", "boxes that fill the picture", "correct for close-ups; else draw them again"),
    "odd_shape": Kind("note", "boxes over 20 times as long as wide", "look at them: a slip of the mouse looks so"),
    "ignored": Kind("note", "pictures with crowds or difficult objects", "nothing to do: they count for nothing"),
    "class_unused": Kind("note", "classes without any box", "nothing to do, or leave them out (--classes A,B)"),
    "class_rare": Kind(
        "note", "classes with under a hundredth of the boxes of the most frequent", "collect more pictures of them"
    ),
    "few_boxes": Kind("note", "dataset with few boxes to fit anchors to", "take published ones (--anchors NAME)"),
    "colour_mode": Kind("note", "pictures that are not plain RGB, converted when read", "nothing to do"),
    "rotated": Kind("note", "pictures turned by their EXIF orientation", "nothing to do if the boxes fit"),
    "extreme_picture": Kind(
        "note", "very small, very large or very long pictures", "cut large and long ones into tiles"
    ),
}
"""Kinds of findings of our own, without those of the readers."""

REPAIRS: dict[str, tuple[str, Severity, str]] = {
    repair.NOT_FINITE: ("box_not_finite", "error", MEND_BOX),
    repair.UNREAD: ("header_unread", "error", "copy or export them again; --fix leaves them out"),
    repair.OUTSIDE: ("box_outside", "error", MEND_BOX),
    repair.EMPTY: ("box_empty", "error", MEND_BOX),
    repair.OTHER_SHAPE: ("other_shape", "error", SIZES),
    repair.INVERTED: ("box_inverted", "warning", MEND_BOX),
    repair.CLIPPED: ("box_clipped", "warning", MEND_BOX),
    repair.LISTED_TWICE: ("listed_twice", "warning", "remove one of the two; --fix lists it once"),
    repair.REPEATED: ("object_repeated", "warning", "remove one of the two; --fix keeps one"),
    repair.NAMELESS: ("object_nameless", "error", "give them a class; --fix leaves them out"),
    repair.NO_AREA_SHAPES: ("shape_without_area", "warning", "draw boxes if they mark objects"),
    repair.OTHER_SUFFIX: ("other_suffix", "error", "convert them to .jpg or .png"),
    repair.UNLABELLED: ("unlabelled", "warning", "nothing to do if they show no object; else add their labels"),
    repair.ORPHANED: ("label_without_picture", "warning", "add the pictures or remove the labels"),
    repair.CONFIDENCE: ("row_with_confidence", "warning", "nothing to do if these are no model's results"),
    repair.KEYPOINTS: ("row_with_keypoints", "note", "nothing to do: the box is taken"),
    repair.LIKE_CORNERS: ("like_corners", "error", "write centre and size as fractions"),
    repair.ROTATED: ("box_rotated", "note", "nothing to do: the turned box's bounding box is used"),
    repair.REGIONS: ("region_without_class", "note", "nothing to do: detections there count for nothing"),
    repair.NO_OBJECTS: ("region_of_no_object", "note", "nothing to do: their label says so"),
    repair.BOXLESS: ("label_without_box", "note", "nothing to do: lanes and areas are no objects"),
    repair.NOT_LABELLED: ("not_labelled", "warning", "label them, or submit them as empty if they show no object"),
    repair.UNKNOWN_PICTURE: ("unknown_picture", "error", "list the pictures, or remove these annotations"),
    repair.ONLY_CLASS: ("only_class", "warning", "nothing to do for one class; else give each region its class"),
    repair.COCO_CORNERS: ("coco_corners", "error", "write x, y, width and height"),
    repair.NO_AREA: ("area_missing", "note", "nothing to do: boxes' areas decide what is small or large"),
    repair.RESIZED: (
        "resized",
        "warning",
        "nothing to do if the boxes fit; --fix writes them in pixels of the picture",
    ),
    repair.SWAPPED_SIDES: ("swapped_sides", "warning", "nothing to do if the boxes fit; --fix writes the right size"),
    repair.MERGED_CATEGORIES: ("merged_categories", "warning", "give categories that differ different names"),
    repair.ROUNDED: ("box_rounded", "note", "nothing to do: the tool counts pixels from 1, or rounds"),
    repair.WRONG_SIZE: ("size_missing", "note", "nothing to do: the picture's own size is used"),
    repair.OUTLINED: ("outlined", "note", "nothing to do: the outline's bounding box is used"),
    repair.UNWANTED: ("box_unwanted", "note", "nothing to do: --classes asks for it"),
    repair.SHARED_ID: ("shared_id", "note", "nothing to do here; other programs may keep only one of them"),
}
"""Kind, severity and remedy of each repair of the readers; its title is the key."""

KINDS |= {kind: Kind(severity, title, remedy) for title, (kind, severity, remedy) in REPAIRS.items()}


def kind_of_repair(title: str) -> tuple[str, Kind]:
    """Kind of a repair; one that the table lacks is a warning under its own title."""
    if title in REPAIRS:
        kind = REPAIRS[title][0]
        return kind, KINDS[kind]
    return "repaired", Kind("warning", title, "look at them")
