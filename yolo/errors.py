"""Errors of the package, in one tree:

    YoloError                 fault in the user's input; the message says where and how to correct it
    ├── ConfigError           option, configuration file, or a combination of options
    ├── AnnotationError       dataset: its folder, an annotation file, a class list
    ├── WeightsError          model file
    └── MediaError            image

The command line turns a YoloError into one line on stderr and exit code 2. Any other exception that escapes is a defect
of this package.
"""


class YoloError(Exception):
    """Fault in the user's files or options; the message names the place and the remedy."""


class ConfigError(YoloError):
    """Invalid option or configuration file, or options that do not fit each other."""


class AnnotationError(YoloError):
    """Dataset that is missing, malformed, or does not fit the classes."""


class WeightsError(YoloError):
    """Model file that cannot be read or written, or does not fit the network."""


class MediaError(YoloError):
    """Image that cannot be read or written."""
