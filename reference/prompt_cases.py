"""`prompt.json` files as people and challenges write them, with what both packages read in them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

ACUTE = "\N{COMBINING ACUTE ACCENT}"


@dataclass(frozen=True)
class PromptCase:
    """A file and the prompts that are read in it, or a part of the message that refuses it."""

    name: str
    content: bytes
    prompts: tuple[str, ...] = ()
    refused: str | None = None


def _read(name: str, value: Any, *prompts: str) -> PromptCase:
    return PromptCase(name, json.dumps(value).encode(), prompts)


def _refused(name: str, text: str | bytes, message: str) -> PromptCase:
    return PromptCase(name, text.encode() if isinstance(text, str) else text, refused=message)


def _of_one(prompt: str, message: str, name: str | None = None) -> PromptCase:
    return _refused(name or repr(prompt), json.dumps({"0": "Ring", "5": prompt}),
                    f'key "5": {message}')


CASES: tuple[PromptCase, ...] = (
    _read("as the challenge writes it", {"0": "Ring", "1": "Old Hotel"}, "Ring", "Old Hotel"),
    _read("in the order of the numbers", {"10": "D", "9": "C", "0": "A", "02": "B"},
          "A", "B", "C", "D"),
    # Text: sentences, outer white space, other scripts.
    _read("sentences", {"0": "A cat.", "1": "A dog!", "2": "Wait..."},
          "A cat.", "A dog!", "Wait..."),
    _read("outer white space", {"0": " Ring ", "1": "Hotel\n", "2": "\u3000Belt\u00a0\t"},
          "Ring", "Hotel", "Belt"),
    _read("a dot in front", {"0": "...and a cat", "1": ".NET"}, "...and a cat", ".NET"),
    _read("inner spaces stay", {"0": "a  cat"}, "a  cat"),
    _read("composed letters stay as they are", {"0": "Caf\u00e9", "1": f"Cre{ACUTE}me"},
          "Caf\u00e9", f"Cre{ACUTE}me"),
    _read("other scripts", {"0": "猫", "1": "Кот", "2": "قطة"}, "猫", "Кот", "قطة"),
    _read("emoji", ["🐈", "👨‍👩‍👧"], "🐈", "👨‍👩‍👧"),
    _read("names that Windows refuses", {"0": "Who? A cat: asleep", "1": "CON", "2": 'a "b" <c>|*'},
          "Who? A cat: asleep", "CON", 'a "b" <c>|*'),
    _read("names like options and files", {"0": "-x", "1": "~", "2": "Ring.png", "3": "#1 & 50%"},
          "-x", "~", "Ring.png", "#1 & 50%"),
    _read("the longest", {"0": "x" * 251}, "x" * 251),
    # Forms: lists, objects of prompts.
    _read("a list", ["Ring", "Hotel"], "Ring", "Hotel"),
    _read("objects", {"1": {"prompt": "Hotel"}, "0": {"prompt": "Ring", "seed": 3}},
          "Ring", "Hotel"),
    _read("a list of objects", [{"prompt": "Ring "}, "Hotel"], "Ring", "Hotel"),
    _read("under a name", {"prompts": ["Ring", "Hotel"]}, "Ring", "Hotel"),
    _read("an object under a name", {"prompts": {"1": "Hotel", "0": "Ring"}}, "Ring", "Hotel"),
    # Encodings of editors and shells.
    PromptCase("a byte order mark", '{"0": "Käse"}'.encode("utf-8-sig"), ("Käse",)),
    PromptCase("UTF-16", '{"0": "Käse"}'.encode("utf-16"), ("Käse",)),
    PromptCase("lines of Windows", b'{\r\n"0": "Ring"\r\n}\r\n', ("Ring",)),
    # Refused: the form.
    _refused("a text", '"Ring"', "not prompts in a JSON object. Write them as"),
    _refused("a number", "3", "not prompts in a JSON object"),
    _refused("null", "null", "not prompts in a JSON object"),
    _refused("an empty object", "{}", "no prompts"),
    _refused("an empty list", "[]", "no prompts"),
    _refused("no prompts under a name", '{"prompts": []}', "no prompts"),
    _refused("a number for a prompt", '{"0": 5}', 'key "0" holds 5, not a prompt in quotes'),
    _refused("null for a prompt", '{"0": null}', 'key "0" holds null, not a prompt in quotes'),
    _refused("a list for a prompt", '{"0": ["Ring"]}', 'key "0" holds a list, not a prompt in'),
    _refused("an object without a prompt", '{"0": {"text": "Ring"}}',
             'key "0" holds an object without "prompt"'),
    _refused("an object whose prompt is a list", '{"0": {"prompt": ["Ring"]}}',
             'key "0", "prompt" holds a list, not a prompt in quotes'),
    _refused("an object with two prompts", '{"0": {"prompt": "Ring", "prompt": "Hotel"}}',
             'key "0" holds "prompt" twice'),
    _refused("a number in a list", '["Ring", 4]', "item 1 holds 4, not a prompt in quotes"),
    _refused("a list in a list", '["Ring", ["Hotel"]]', "item 1 holds a list"),
    _refused("the object of a whole split", '{"00": {"0": "Ring"}, "01": {"0": "Hotel"}}',
             'key "00" holds an object without "prompt"'),
    _refused("a word for a key", '{"0": "Ring", "comment": "mine"}', 'key "comment" is not a num'),
    _refused("another name", '{"items": ["Ring"]}', 'key "items" is not a number'),
    _refused("a negative number", '{"-1": "Ring"}', 'key "-1" is not a number'),
    _refused("a number with a point", '{"0.0": "Ring"}', 'key "0.0" is not a number'),
    _refused("digits of another script", '{"٣": "Ring"}', "is not a number"),
    _refused("one number twice", '{"0": "Ring", "0": "Hotel"}', 'key "0" is there twice'),
    _refused("one number written in two ways", '{"0": "Ring", "00": "Hotel"}',
             'key "00" is there twice'),
    _refused("broken", '{\n  "0": "Ring",\n  "1": Hotel\n}', "broken JSON at line 3, column 8"),
    _refused("empty", "", "broken JSON at line 1"),
    _refused("nested without end", "[" * 100_000, "unusable JSON"),
    _refused("a number without end", '{"0": %s}' % ("9" * 5_000), "unusable JSON"),
    _refused("Latin 1", b'{"0": "K\xe4se"}', "not UTF-8 text (byte 8)"),
    # Refused: the prompts.
    _of_one("", "it is empty", "an empty prompt"),
    _of_one(" \n\u3000", "it is empty", "white space alone"),
    _of_one("a/b", "it contains '/', which separates folders"),
    _of_one("a\\b", "it contains '\\\\', which separates folders"),
    _of_one("..", "it names a folder"),
    _of_one(".", "it names a folder"),
    _of_one("a\0b", "it contains a control character"),
    _of_one("a\nb", "it contains a control character"),
    _of_one("x" * 252, "with '.png' it has 256 bytes, and a file name at most 255",
            "a byte too long"),
    _of_one("猫" * 84, "with '.png' it has 256 bytes", "a byte too long in another script"),
    _of_one("\ud800", "it contains half of a surrogate pair"),
    _refused("one prompt twice", '{"0": "Ring", "1": "Ring"}', '"Ring" and "Ring" name one file'),
    _refused("one letter twice", '["A", "A"]', '"A" and "A" name one file'),
    _refused("different in case", '["Ring", "RING"]', '"Ring" and "RING" name one file'),
    _refused("different in spaces", '["Ring", " Ring"]', '"Ring" and "Ring" name one file'),
    _refused("different in composition", json.dumps(["Caf\u00e9", f"Cafe{ACUTE}"]),
             "name one file"),
)
