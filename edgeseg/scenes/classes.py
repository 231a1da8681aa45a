"""The founding label set of road scenes."""

from edgeseg.core.labels import ClassMap

CLASSES = ClassMap(
    names=("Road", "Sidewalk", "Landscaping", "Tree", "Sky", "Concrete", "Building", "Background"),
    colours=(
        (128, 64, 128),
        (244, 35, 232),
        (152, 251, 152),
        (34, 139, 34),
        (70, 160, 230),
        (255, 200, 40),
        (200, 60, 40),
        (60, 60, 90),
    ),
)

ROAD, SIDEWALK, LANDSCAPING, TREE, SKY, CONCRETE, BUILDING, BACKGROUND = range(len(CLASSES))
