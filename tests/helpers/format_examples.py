"""One small dataset of each annotation format, written as its tool writes it: a picture with one cat.

Every example has ``a.jpg`` of 200 x 100 pixels with the box 20, 10, 60, 50 of the class cat; a format is added as a
function and a row of `EXAMPLES`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pictures import write_picture

from yolo.structs import Dataset

BOX = [20.0, 10.0, 60.0, 50.0]

LABELME: dict[str, Any] = {
    "version": "5.4.1",
    "flags": {},
    "shapes": [
        {
            "label": "cat",
            "points": [[20.0, 10.0], [60.0, 50.0]],
            "group_id": None,
            "description": "",
            "shape_type": "rectangle",
            "flags": {},
            "mask": None,
        }
    ],
    "imagePath": "a.jpg",
    "imageData": None,
    "imageHeight": 100,
    "imageWidth": 200,
}
VIA_REGION = {
    "shape_attributes": {"name": "rect", "x": 20, "y": 10, "width": 40, "height": 40},
    "region_attributes": {"label": "cat"},
}
VIA = {"a.jpg1234": {"filename": "a.jpg", "size": 1234, "regions": [VIA_REGION], "file_attributes": {}}}
VIA_PROJECT = {
    "_via_settings": {"ui": {}, "core": {"buffer_size": 18}, "project": {"name": "pets"}},
    "_via_img_metadata": VIA,
    "_via_attributes": {"region": {"label": {"type": "text", "description": "", "default_value": ""}}, "file": {}},
    "_via_data_format_version": "2.0.10",
    "_via_image_id_list": ["a.jpg1234"],
}
VIA3 = {
    "project": {"pid": "__VIA_PROJECT_ID__", "pname": "pets", "data_format_version": "3.1.1", "vid_list": ["1"]},
    "config": {"file": {"loc_prefix": {"1": "", "2": "", "3": "", "4": ""}}, "ui": {}},
    "attribute": {
        "1": {
            "aname": "class",
            "anchor_id": "FILE1_Z0_XY1",
            "type": 4,
            "desc": "",
            "options": {"0": "cat", "1": "dog"},
            "default_option_id": "",
        }
    },
    "file": {"1": {"fid": "1", "fname": "a.jpg", "type": 2, "loc": 1, "src": ""}},
    "metadata": {"1_Fk2x9QpL": {"vid": "1", "flg": 0, "z": [], "xy": [2, 20, 10, 40, 40], "av": {"1": "0"}}},
    "view": {"1": {"fid_list": ["1"]}},
}
CREATEML = [
    {
        "image": "a.jpg",
        "annotations": [{"label": "cat", "coordinates": {"x": 40, "y": 30, "width": 40, "height": 40}}],
    }
]
LABEL_STUDIO_VALUE = {"x": 10.0, "y": 10.0, "width": 20.0, "height": 40.0, "rotation": 0, "rectanglelabels": ["cat"]}
LABEL_STUDIO_SIZE = {"original_width": 200, "original_height": 100}
LABEL_STUDIO = [
    {
        "id": 7,
        "annotations": [
            {
                "id": 3,
                "completed_by": 1,
                "result": [
                    {
                        **LABEL_STUDIO_SIZE,
                        "image_rotation": 0,
                        "value": LABEL_STUDIO_VALUE,
                        "id": "OQKSs9pOXF",
                        "from_name": "label",
                        "to_name": "image",
                        "type": "rectanglelabels",
                        "origin": "manual",
                    }
                ],
                "was_cancelled": False,
                "ground_truth": False,
            }
        ],
        "file_upload": "1a2b3c4d-a.jpg",
        "drafts": [],
        "predictions": [],
        "data": {"image": "/data/upload/1/1a2b3c4d-a.jpg"},
        "meta": {},
        "project": 1,
    }
]
LABEL_STUDIO_MIN = [
    {
        "image": "/data/upload/1/1a2b3c4d-a.jpg",
        "id": 7,
        "label": [{**LABEL_STUDIO_VALUE, **LABEL_STUDIO_SIZE}],
        "annotator": 1,
        "annotation_id": 3,
    }
]
SUPERVISELY = {
    "description": "",
    "tags": [],
    "size": {"height": 100, "width": 200},
    "objects": [
        {
            "id": 5,
            "classId": 2,
            "description": "",
            "geometryType": "rectangle",
            "labelerLogin": "ann",
            "tags": [],
            "classTitle": "cat",
            "points": {"exterior": [[20, 10], [59, 49]], "interior": []},
        }
    ],
}
SUPERVISELY_META = {
    "classes": [{"title": "cat", "shape": "rectangle", "color": "#A80B10", "id": 2}],
    "tags": [],
    "projectType": "images",
}
BDD100K_LABEL = {
    "category": "cat",
    "attributes": {"occluded": False, "truncated": False, "trafficLightColor": "none"},
    "manualShape": True,
    "manualAttributes": True,
    "box2d": {"x1": 20.0, "y1": 10.0, "x2": 60.0, "y2": 50.0},
    "id": 0,
}
BDD100K = [{"name": "a.jpg", "attributes": {"weather": "clear"}, "timestamp": 10000, "labels": [BDD100K_LABEL]}]
LABELBOX_OBJECT = {
    "feature_id": "cm2",
    "name": "cat",
    "value": "cat",
    "annotation_kind": "ImageBoundingBox",
    "classifications": [],
    "bounding_box": {"top": 10.0, "left": 20.0, "height": 40.0, "width": 40.0},
}
LABELBOX = {
    "data_row": {"id": "clx", "external_id": "a.jpg", "row_data": "https://storage.example/a.jpg?token=1"},
    "media_attributes": {"height": 100, "width": 200, "mime_type": "image/jpeg"},
    "projects": {
        "cm1": {
            "name": "pets",
            "labels": [{"label_kind": "Default", "annotations": {"objects": [LABELBOX_OBJECT], "classifications": []}}],
        }
    },
}
COCO = {
    "images": [{"id": 1, "file_name": "a.jpg", "height": 100, "width": 200}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [20, 10, 40, 40], "area": 1600, "iscrowd": 0}],
    "categories": [{"id": 1, "name": "cat", "supercategory": "none"}],
}
VOC = """<annotation><filename>a.jpg</filename><size><width>200</width><height>100</height><depth>3</depth></size>
<object><name>cat</name><bndbox><xmin>21</xmin><ymin>11</ymin><xmax>60</xmax><ymax>50</ymax></bndbox></object>
</annotation>"""


def write(path: Path, content: Any) -> Path:
    """Write a text, or a value as JSON, with the folders that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


VOTT = {
    "name": "pets",
    "tags": [{"name": "cat", "color": "#fff"}],
    "version": "2.2.0",
    "assets": {
        "1a": {
            "asset": {"format": "jpg", "name": "a.jpg", "path": "file:C:/a.jpg", "size": {"width": 200, "height": 100}},
            "regions": [
                {
                    "type": "RECTANGLE",
                    "tags": ["cat"],
                    "boundingBox": {"left": 20, "top": 10, "width": 40, "height": 40},
                    "points": [{"x": 20, "y": 10}, {"x": 60, "y": 50}],
                }
            ],
        }
    },
}
DATUMARO_BOX = {"id": 0, "type": "bbox", "label_id": 0, "bbox": [20, 10, 40, 40], "attributes": {"is_crowd": False}}
DATUMARO = {
    "info": {},
    "categories": {"label": {"labels": [{"name": "cat", "parent": "", "attributes": []}]}},
    "items": [{"id": "a", "annotations": [DATUMARO_BOX], "image": {"path": "a.jpg", "size": [100, 200]}}],
}
FIFTYONE_BOX = {"_cls": "Detection", "label": "cat", "bounding_box": [0.1, 0.1, 0.2, 0.4]}
FIFTYONE = {
    "samples": [
        {
            "filepath": "a.jpg",
            "tags": [],
            "_media_type": "image",
            "ground_truth": {"_cls": "Detections", "detections": [FIFTYONE_BOX]},
        }
    ]
}
FIFTYONE_LABELS = {"classes": ["cat"], "labels": {"a": [{"label": 0, "bounding_box": [0.1, 0.1, 0.2, 0.4]}]}}
EXAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "labelme": ("labelme", {"a.json": LABELME}),
    "via": ("VIA", {"via_export_json.json": VIA}),
    "via_project": ("VIA", {"via_project_8Jan2024_10h3m.json": VIA_PROJECT}),
    "via3": ("VIA", {"via_project_08Jan2024_10h03m05s.json": VIA3}),
    "createml": ("Create ML", {"_annotations.createml.json": CREATEML}),
    "label_studio": ("Label Studio", {"project-1-at-2024-01-08-10-03-1a2b3c4d.json": LABEL_STUDIO}),
    "label_studio_min": ("Label Studio", {"project-1-at-2024-01-08-10-03-5e6f7a8b.json": LABEL_STUDIO_MIN}),
    "supervisely": (
        "Supervisely",
        {"meta.json": SUPERVISELY_META, "ds0/ann/a.jpg.json": SUPERVISELY, "ds0/img/a.jpg": None},
    ),
    "vott": ("VoTT", {"pets-export.json": VOTT}),
    "datumaro": ("Datumaro", {"default.json": DATUMARO}),
    "fiftyone": ("FiftyOne", {"samples.json": FIFTYONE}),
    "fiftyone_labels": ("FiftyOne", {"labels.json": FIFTYONE_LABELS}),
    "bdd100k": ("BDD100K", {"bdd100k_labels.json": BDD100K}),
    "labelbox": ("Labelbox", {"Export project - pets.json": LABELBOX}),
    "coco": ("COCO", {"annotations/instances_train.json": COCO, "images/a.jpg": None}),
    "voc": ("VOC", {"Annotations/a.xml": VOC, "JPEGImages/a.jpg": None}),
    "yolo": (
        "YOLO txt",
        {"data.yaml": "train: images\nnames: [cat]\n", "images/a.jpg": None, "labels/a.txt": "0 0.2 0.3 0.2 0.4\n"},
    ),
    "yolo_folder": (
        "YOLO txt",
        {"classes.txt": "cat\n", "images/a.jpg": None, "labels/a.txt": "0 0.2 0.3 0.2 0.4\n"},
    ),
    "darknet": (
        "Darknet",
        {
            "obj.data": "classes = 1\ntrain = train.txt\nnames = obj.names\n",
            "obj.names": "cat\n",
            "train.txt": "obj_train_data/a.jpg\n",
            "obj_train_data/a.jpg": None,
            "obj_train_data/a.txt": "0 0.2 0.3 0.2 0.4\n",
        },
    ),
    "keras_yolo3": ("keras-yolo3", {"list.txt": "a.jpg 20,10,60,50,0\n", "classes.txt": "cat\n"}),
    "csv": ("CSV", {"labels.csv": "filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,200,100,cat,20,10,60,50\n"}),
    "retinanet": ("keras-retinanet CSV", {"annotations.csv": "a.jpg,20,10,60,50,cat\n", "classes.csv": "cat,0\n"}),
    "open_images": (
        "Open Images",
        {
            "annotations-bbox.csv": "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,"
            "IsGroupOf,IsDepiction,IsInside\na,xclick,/m/01yrx,1,0.1,0.3,0.1,0.5,0,0,0,0,0\n",
            "class-descriptions-boxable.csv": "/m/01yrx,cat\n",
        },
    ),
    "cvat": (
        "CVAT XML",
        {
            "annotations.xml": "<annotations><version>1.1</version><image id='0' name='a.jpg' width='200' height='100'>"
            "<box label='cat' occluded='0' xtl='20' ytl='10' xbr='60' ybr='50' z_order='0'/></image></annotations>"
        },
    ),
    "kitti": (
        "KITTI",
        {"label_2/a.txt": "cat 0.00 0 -1.5 20.00 10.00 60.00 50.00 1 1 1 0 0 9 0\n", "image_2/a.jpg": None},
    ),
}
"""Name of the format and files of each example; None stands for the picture, ``a.jpg`` of the folder if none does."""


def make_example(folder: Path, name: str) -> Path:
    """Write an example into a folder."""
    files = EXAMPLES[name][1]
    for file, content in files.items():
        if content is not None:
            write(folder / file, content)
    for file in [file for file, content in files.items() if content is None] or ["a.jpg"]:
        write_picture(folder / file)
    return folder


def objects_of(dataset: Dataset) -> list[tuple[str, str, list[float]]]:
    """File, class and rounded box of each object, in the dataset's order."""
    return [
        (sample.path.name, dataset.classes[label], [round(float(side), 3) for side in box])
        for sample in dataset
        for label, box in zip(sample.labels, sample.boxes, strict=True)
    ]
