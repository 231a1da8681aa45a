"""How models that others publish are fed and read, from their own documentation; `edgeseg inspect --as NAME`.

A recipe says what the file does not. Each names its source; nothing of these projects is copied here, and no weights
come with edgeseg: they have licences of their own, and so has the data that they were trained on.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from edgeseg.core.labels import ClassMap
from edgeseg.data.reading.cityscapes_labels import TRAIN as CITYSCAPES
from edgeseg.data.reading.shapes import distinct_colours

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
_VOC = (
    "background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person "
    "pottedplant sheep sofa train tvmonitor"
)
VOC = ClassMap(tuple(_VOC.split()), ((0, 0, 0), *distinct_colours(20)))
CAMVID_BY_PIDNET = ClassMap(
    ("Bicyclist", "Building", "Car", "Pole", "Fence", "Pedestrian", "Road", "Sidewalk", "SignSymbol", "Sky", "Tree"),
    (
        (0, 128, 192),
        (128, 0, 0),
        (64, 0, 128),
        (192, 192, 128),
        (64, 64, 128),
        (64, 64, 0),
        (128, 64, 128),
        (0, 0, 192),
        (192, 128, 128),
        (128, 128, 128),
        (128, 128, 0),
    ),
)
DRIVABLE = ClassMap(("rest", "drivable area"), ((0, 0, 0), (0, 200, 0)))
LANE = ClassMap(("rest", "lane line"), ((0, 0, 0), (220, 0, 0)))


@dataclass(frozen=True)
class Recipe:
    """A published family of models.

    Attributes:
        title: its name in the field.
        source: where its pre- and postprocessing were read.
        licence: of its code and weights; it is not edgeseg's.
        mean, std: for pixels of 0 to 1, RGB.
        classes: the class lists of its published weights; which one is seen by the number of classes.
        outputs: which of so many outputs is the mask, by its place.
        named: class lists of outputs that are for different things, by their place.
        align_corners, padding: as in edgeseg.core.tensors.Tensors.
        remark: what a user should know.
    """

    title: str
    source: str
    licence: str
    mean: tuple[float, ...] = _IMAGENET_MEAN
    std: tuple[float, ...] = _IMAGENET_STD
    classes: tuple[ClassMap, ...] = (CITYSCAPES,)
    outputs: dict[int, int] = field(default_factory=dict)
    named: tuple[ClassMap, ...] = ()
    align_corners: bool = False
    padding: float | None = None
    remark: str = ""

    def class_map(self, number: int, place: int) -> ClassMap | None:
        """Return the class list for a number of classes and the output's place; None if the recipe knows none."""
        known = self.named[place : place + 1] if self.named else self.classes
        return next((each for each in known if len(each) == number), None)


RECIPES = {
    "bisenetv2": Recipe(
        "BiSeNetV2 (CoinCheung)",
        "https://github.com/CoinCheung/BiSeNet, tools/demo_video.py, tools/export_onnx.py, lib/models/bisenetv2.py",
        "MIT",
        mean=(0.3257, 0.3690, 0.3223),
        std=(0.2112, 0.2148, 0.2115),
        remark="mean and std are those of its Cityscapes weights",
    ),
    "ddrnet": Recipe(
        "DDRNet",
        "https://github.com/chenjun2hao/DDRNet.pytorch, lib/datasets/base_dataset.py, tools/to_onnx.py, "
        "experiments/cityscapes/ddrnet23_slim.yaml; weights: https://github.com/ydhongHIT/DDRNet",
        "MIT (ydhongHIT/DDRNet)",
        outputs={2: 0},
        remark="a smaller output is enlarged with align_corners false, as its settings for Cityscapes say",
    ),
    "pidnet": Recipe(
        "PIDNet",
        "https://github.com/XuJiacong/PIDNet, tools/custom.py, configs/default.py, datasets/camvid.py, "
        "models/pidnet.py",
        "MIT",
        classes=(CITYSCAPES, CAMVID_BY_PIDNET),
        outputs={3: 1},
        align_corners=True,
        remark="with three outputs the second is the mask: the others served its training",
    ),
    "segformer": Recipe(
        "SegFormer",
        "https://huggingface.co/nvidia/segformer-b5-finetuned-cityscapes-1024-1024, preprocessor_config.json; "
        "https://github.com/NVlabs/SegFormer, local_configs/_base_/datasets/cityscapes_1024x1024_repeat.py",
        "NVIDIA Source Code License for SegFormer: research and evaluation only, not for commercial use",
    ),
    "torchvision": Recipe(
        "torchvision's FCN, DeepLabV3 and LR-ASPP",
        "https://github.com/pytorch/vision, torchvision/transforms/_presets.py (SemanticSegmentation), "
        "torchvision/models/segmentation, torchvision/models/_meta.py",
        "BSD-3-Clause",
        classes=(VOC,),
        outputs={2: 0},
        remark="with two outputs the second, aux, served the training",
    ),
    "twinlitenet": Recipe(
        "TwinLiteNet",
        "https://github.com/chequanghuy/TwinLiteNet, test_image.py, DataSet.py, export.py",
        "MIT",
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        named=(DRIVABLE, LANE),
        outputs={2: 0},
        remark="the first output is the drivable area, the second the lane lines: --output ll for these",
    ),
    "yolo-semantic": Recipe(
        "YOLO for semantic segmentation (Ultralytics, yolo26n-sem and others)",
        "https://docs.ultralytics.com/tasks/semantic, https://github.com/ultralytics/ultralytics, "
        "ultralytics/models/yolo/semantic/predict.py, pull requests 24598 and 25395",
        "AGPL-3.0, or Ultralytics's enterprise licence",
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        padding=114.0,
        remark="Ultralytics keeps the picture's shape and pads with grey: --camera-size WIDTHxHEIGHT does the same",
    ),
}
