"""RS95: files and packages outside the language: saved spaces, runs, optional extras."""

from __future__ import annotations

from routespace.diagnostics.codes.entry import Entry

ENTRIES = (
    Entry(
        "RS951",
        "optional extra that cannot be used",
        "What was asked for needs a package that is not installed, or that fails to import. The help shows the\n"
        "command that installs it.",
        'train(space, "out/run")  # without lightning\n',
    ),
    Entry(
        "RS952",
        "saved file that cannot be used",
        "A saved space or run is missing, truncated, changed since it was written, or of another kind.",
        'load_artifact("out/moved")\n',
    ),
    Entry(
        "RS953",
        "saved weights of another form",
        "What was saved belongs to other forms than the one that is asked for: the weights of a fixed net are not\n"
        "those of its space.",
        'load_artifact("out/u_net", "sparse")\n',
    ),
    Entry(
        "RS954",
        "run that is resumed with other settings",
        "A run goes on with the settings it was started with, so that it ends where it would have ended without the\n"
        "break. Start a new one to change them.",
        'train(space, "out/run", lr = 0.2)  # started with 0.1\n',
    ),
    Entry(
        "RS955",
        "space that does not fit a detector",
        "A head reads as many levels of as many channels as the backbone gives. By level it has one output `features`\n"
        "and is used for two towers, or it has the predictions of the detector it is put into. The notes say what\n"
        "differs.",
        'put_head(detector, load("dynamic_head.route", width = 64))  # the backbone gives 256 channels\n',
    ),
    Entry(
        "RS956",
        "set of images that cannot be used",
        "The folder of images or the file of annotations is missing, or it holds no boxes in COCO's format: lists\n"
        "`images`, `annotations` and `categories` that refer to each other. Or an image cannot be read, or has\n"
        "another size than is declared, upright or as it is stored, or a box lies outside of it.",
        'CocoBoxes("val2017", "captions_val2017.json")\n',
    ),
    Entry(
        "RS957",
        "module that is not saved",
        "What is saved can be loaded: weights are finite numbers, and the text with its parameters compiles to what\n"
        "the weights are of. This is looked at before a file is written, so that an earlier artifact stays.",
        'save_artifact("out/u_net", space, module)  # a weight is NaN\n',
    ),
)
