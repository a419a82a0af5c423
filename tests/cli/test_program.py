"""What all commands have in common: help, exit codes, streams, and what they import."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest

import routespace as rs
from routespace.cli.options import read_settings, read_size
from routespace.questions.nets import Nets
from tests.cli.conftest import EXAMPLES, Run

COMMANDS = (
    "check",
    "format",
    "explain",
    "show",
    "cost",
    "count",
    "sample",
    "contains",
    "find",
    "table",
    "diff",
    "draw",
    "run",
    "train",
)
SPACE = EXAMPLES / "segmentation.route"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_examples(command: str, run: Run) -> None:
    ended = run(command, "--help")
    assert ended.code == 0 and f"routespace {command} " in ended.out.split("Examples:")[1]


def test_version_and_help(run: Run) -> None:
    assert run("--version").out == f"routespace {rs.__version__}\n"
    ended = run("--help")
    assert ended.code == 0 and all(f"\n  {command} " in ended.out for command in COMMANDS)


@pytest.mark.parametrize(
    "args",
    [
        ("nonsense",),
        ("check",),
        ("check", "tiny.route", "--nonsense"),
        ("check", "tiny.route", "--set", "depth"),
        ("check", "tiny.route", "--set", "2=3"),
        ("check", "tiny.route", "--set", "depth="),
        ("check", "tiny.route", "--set", "findings=3"),
        ("show", "tiny.route", "--stage", "nonsense"),
        ("show", "tiny.route", "--stage", "fx", "--form", "fixed"),
        ("show", "tiny.route", "--stage", "graph", "--net", "straight"),
        ("cost", "tiny.route", "--input", "1x96x96"),
        ("cost", "tiny.route", "--input", "0x96"),
        ("cost", "tiny.route", "--input", "99999999x99999999"),
        ("draw", "tiny.route", "-o", "x.svg", "--net", "straight", "--weights", "x.json"),
        ("run", "tiny.route", "image.png", "--seed", "1", "--weights", "x"),
        ("run", ".", "image.png", "--seed", "1"),
        ("format", "tiny.route", "--check", "--stdout"),
        ("explain",),
        ("explain", "--all", "RS101"),
        ("show", "tiny.route", "--stage", "syntax", "--set", "depth=3"),
        ("show", "tiny.route", "--stage", "syntax", "--input", "64x64"),
        ("show", "tiny.route", "--stage", "space", "--input", "64x64"),
        ("show", "tiny.route", "--stage", "fx", "--input", "64x64"),
        ("cost", "tiny.route", "--at-least", "nan", "--profile", "profile.json"),
        ("cost", "tiny.route", "--net", "straight", "--profile", "profile.json"),
        ("extract", "tiny.route", "profile.json", "--at-least", "nan"),
        ("fuzz", "tiny.route", "--time", "nan"),
        ("--import", "no_such_module", "explain", "--all"),
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_ends_with_2(args: tuple[str, ...], run: Run) -> None:
    ended = run(*args)
    assert ended.code == 2 and ended.out == "" and ended.err and "Traceback" not in ended.err


MANY = "9" * 4301


@pytest.mark.parametrize(
    "args",
    [
        ("find", "tiny.route", "--flops", f"{MANY}.."),
        ("find", "tiny.route", "--params", f"..0.{MANY}"),
        ("find", "tiny.route", "--flops", "1e999999999..", "--input", "64x64"),
        ("find", "tiny.route", "--flops", "1..9", "-n", MANY),
        ("find", "tiny.route", "--flops", "1..9", "-n", "9" * 30),
        ("sample", "tiny.route", "-n", "9" * 30),
        ("sample", "tiny.route", "--seed", MANY),
        ("fuzz", "tiny.route", "--seed", "9" * 30),
        ("train", "tiny.route", "-o", "out", "--seed", "9" * 30),
        ("train", "tiny.route", "-o", "out", "--workers", "9" * 30),
        ("cost", "tiny.route", "--input", f"{MANY}x4"),
        ("cost", "tiny.route", "--input", "3x4x" + MANY),
        ("extract", "tiny.route", "profile.json", "--at-least", MANY),
        ("check", "tiny.route", "--set", f"depth={MANY}"),
    ],
    ids=lambda args: " ".join(args)[:40],
)
def test_numbers_beyond_all_measure_are_a_wrong_command_line(args: tuple[str, ...], run: Run) -> None:
    ended = run(*args)
    assert ended.code == 2 and ended.out == "" and ended.err and "Traceback" not in ended.err


BAD_FILES = ["nowhere.route", ".", "binary.route", "empty.route", "sub/nowhere.route"]


@pytest.mark.parametrize("command", ["check", "cost", "show", "draw -o x.svg", "train -o out", "run"])
@pytest.mark.parametrize("file", BAD_FILES)
def test_a_file_that_is_no_space_ends_with_1(command: str, file: str, run: Run, files: Path) -> None:
    (files / "binary.route").write_bytes(bytes(range(256)))
    (files / "empty.route").write_text("")
    name, *options = command.split()
    more = ["image.png"] if name == "run" else []
    more += ["--seed", "0"] if name == "run" and file != "." else []
    ended = run(name, file, *more, *options)
    if (name, file) == ("check", "empty.route"):
        assert ended.code == 0
    else:
        assert ended.code == 1 and "error" in ended.err and "Traceback" not in ended.err


def test_a_net_that_is_not_there_is_named(run: Run) -> None:
    for command in ("cost tiny.route", "draw tiny.route -o x.svg", "show tiny.route --stage=fx"):
        ended = run(*command.split(), "--net", "strait")
        assert ended.code == 1 and "did you mean `straight`?" in ended.err


def test_a_place_that_cannot_be_written_is_named(run: Run) -> None:
    ended = run("draw", "tiny.route", "-o", "no/such/folder/x.svg")
    assert ended.code == 1 and "no/such/folder/x.svg" in ended.err and "Traceback" not in ended.err


def test_settings_are_read_as_the_language_reads_values() -> None:
    given = ["a=16", "b = 1e-4", "c=yes", "d=no", "e=identity", "f=[a, [1, no]]", "g=-2", "h=0.5", "a=17"]
    assert read_settings(given) == {
        "a": 17, "b": 1e-4, "c": True, "d": False, "e": "identity", "f": ["a", [1, False]], "g": -2, "h": 0.5,
    }  # fmt: skip
    assert read_settings(None) == {}


def test_sizes_are_read_with_and_without_channels() -> None:
    assert read_size("3x96x128", 3) == read_size(" 96x128 ", 3) == (96, 128)


def test_modules_are_imported_first(run: Run, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (files / "my_ops.py").write_text(
        "import routespace as rs\n@rs.op('from_my_ops')\ndef from_my_ops(inputs):\n    raise NotImplementedError\n"
    )
    (files / "mine.route").write_text("space mine {\n  input image: 3\n  output y = image | from_my_ops\n}\n")
    assert run("check", "mine.route").code == 1
    ended = run("--import", "my_ops", "cost", "mine.route", "--input", "64x64", "--totals")
    assert ended.code == 0 and "not counted" in ended.out and "from_my_ops" in ended.out


def test_an_interrupt_ends_with_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("routespace.cli.check.check_file", interrupted)
    ended = run("check", "tiny.route")
    assert ended.code == 130 and ended.err == "error: interrupted\n"


def loads_torch(*args: str) -> bool:
    """Whether the program, run with `args` in a process of its own, has torch loaded at its end."""
    program = (
        "import sys\n"
        "from routespace.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "sys.exit(42 if 'torch' in sys.modules else 0)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, *args], capture_output=True, text=True)
    assert ended.returncode in (0, 42), ended.stderr
    return ended.returncode == 42


def test_checking_does_not_load_torch() -> None:
    assert not loads_torch("check", str(SPACE))


def test_loading_torch_would_be_seen() -> None:
    assert loads_torch("--import", "torch", "check", str(SPACE))


def test_neither_costs_nor_drawings_need_torch_or_matplotlib(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['torch'] = sys.modules['matplotlib'] = None\n"
        "from routespace.cli import app\n"
        f"for args in (['cost', {str(SPACE)!r}], ['draw', {str(SPACE)!r}, '-o', {str(tmp_path / 'x.svg')!r}]):\n"
        "    try: app(args)\n"
        "    except SystemExit as end: assert not end.code, end.code\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)
    assert (tmp_path / "x.svg").read_text().startswith("<svg")


PROGRAM = [sys.executable, "-c", "from routespace.cli import main; print('ready', flush=True); main()"]


@pytest.mark.skipif(os.name == "nt", reason="pipes break differently")
def test_a_broken_pipe_leaves_no_traceback() -> None:
    show = [*PROGRAM, "show", str(SPACE), "--set", "depth=60"]
    with subprocess.Popen(show, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait() == 141


def test_standard_input_that_is_no_text_is_refused() -> None:
    ended = subprocess.run([*PROGRAM, "check", "-"], input=b"\xff\xfe", capture_output=True)
    assert ended.returncode == 1 and b"RS151" in ended.stderr and b"Traceback" not in ended.stderr


@pytest.mark.parametrize("command", [["check"], ["format"], ["count"], ["show", "--stage", "syntax"]])
def test_no_more_of_standard_input_is_read_than_a_text_may_have(command: list[str]) -> None:
    with subprocess.Popen(["yes", "op a = relu"], stdout=subprocess.PIPE) as endless:
        ended = subprocess.run([*PROGRAM, *command, "-"], stdin=endless.stdout, capture_output=True, timeout=60)
        endless.kill()
    assert ended.returncode == 1 and b"<stdin>`: it has more than the 4194304 bytes that are read" in ended.stderr


def test_a_root_is_named_for_imports(run: Run, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (files / "below").mkdir()
    (files / "library.route").write_text("op norm = batchnorm\n")
    text = 'from "../library.route" import norm\n\nspace s {\n  input image: 3\n  output y = image | norm\n}\n'
    (files / "below" / "main.route").write_text(text)
    assert run("check", "below/main.route").code == 0
    monkeypatch.chdir(files / "below")
    for verb in (["check"], ["show"], ["count"], ["format", "--explicit", "--stdout"]):
        ended = run(*verb, "main.route")
        assert ended.code == 1 and "outside of the folder" in ended.err and "--root" in ended.err
        assert run("--root", "..", *verb, "main.route").code == 0
    assert run("check", "main.route").code == 1
    assert run("--root", "nowhere", "check", "main.route").code == 2


@pytest.mark.skipif(os.name == "nt", reason="signals differ")
def test_an_interrupted_process_leaves_no_traceback() -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    program = [sys.executable, "-c", heed + PROGRAM[-1]]  # whoever runs the tests may have interrupts ignored
    with subprocess.Popen([*program, "format", "-"], **pipes) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        assert b"Traceback" not in process.stderr.read() and process.wait() == 130


def test_output_is_plain_where_nobody_watches(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    for args in (("check", "broken.route"), ("cost", "tiny.route"), ("show", "tiny.route"), ("--help",)):
        ended = run(*args)
        assert "\x1b" not in ended.out + ended.err


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from routespace.cli.ending import has_color

    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert has_color(Terminal()) and not has_color(object())
    monkeypatch.setenv("TERM", "dumb")
    assert not has_color(Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not has_color(Terminal())


def test_numbers_of_many_digits_are_written(run: Run) -> None:
    before = sys.get_int_max_str_digits()
    small = str(EXAMPLES / "small.route")
    ended = run("count", small, "--set", "depth=1757", "--json")
    nets = ended.out.partition('"nets": ')[2].partition(",")[0].rstrip("}\n ")
    exact = Nets(rs.build(rs.load(small, depth=1757))).count()
    assert ended.code == 0 and len(nets) > 4300 and nets == str(Decimal(exact))
    assert sys.get_int_max_str_digits() == before
