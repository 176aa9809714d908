"""The errors of the package, one tree:

    YoloError                 something of the user's has to be mended; the message says what and how
    ├── ConfigError           an option, a configuration file or a combination of them
    ├── AnnotationError       a dataset: its folder, an annotation file, a class list
    ├── WeightsError          a model file
    └── MediaError            a picture or a video

The command line turns a YoloError into one line on stderr and exit code 2. Anything else
that escapes is a defect of this package.
"""


class YoloError(Exception):
    """A fault in the user's files or options; the message names the place and the remedy."""


class ConfigError(YoloError):
    """An option or configuration file that cannot be used."""


class AnnotationError(YoloError):
    """A dataset that cannot be read."""


class WeightsError(YoloError):
    """A model file that cannot be read or does not fit."""


class MediaError(YoloError):
    """A picture that cannot be read or written."""
