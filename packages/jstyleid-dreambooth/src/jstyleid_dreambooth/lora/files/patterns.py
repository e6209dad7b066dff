r"""Values by patterns of layer names, as PEFT's `alpha_pattern` and `rank_pattern` have them.

PEFT takes the first pattern for which `re.match(rf"(.*\.)?({pattern})$", path)` finds something. A
file may come from anywhere, and Python's `re` takes exponential time for some patterns. So names
are looked up, and the forms of regular expressions below are followed through all places of a path
at once, with a limit on the work:

- characters, `.`, classes such as `[0-9]`, `\d`, `\w`, `\s`, and `\` before other signs
- groups `(...)`, `(?:...)`, and alternatives `|`
- `*`, `+`, `?`, `{m,n}`, greedy or not, which is the same for whether a whole path matches
- `^` and `$`
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

Value = TypeVar("Value")

# In a name a dot stands for itself, though in a regular expression it is any character.
_NAME = re.compile(r"(\^?)([\w-]+(?:\\?\.[\w-]+)*)\$?")
_TOKEN = re.compile(
    r"\\[dDwWsS]|\\\W|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?:|[()|^$]|[*+?]\??|\{\d*,?\d*\}\??|[^\\\[{]")
_COUNT = re.compile(r"\{(\d*)(,?)(\d*)\}\??")
_ENDLESS = 10**9
_LONGEST = 500
_WORK, _CALL = 10_000_000, 20  # units of about 0.2 microseconds

Places = set[int]
Follow = Callable[[str, Places], Places]
"""The places in a text that a part of a pattern leads to, from all of some places."""


class PatternError(ValueError):
    """A pattern that is of no form that is followed, or that takes too much work."""


class ModulePatterns(Generic[Value]):
    """The value of the first pattern that matches the end of a path.

    Args:
        values: values by pattern, in order.

    Raises:
        PatternError: a pattern is of another form than those above.
    """

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = list(values.values())
        self._names: dict[tuple[str, bool], int] = {}  # by name, and whether it is a whole path
        self._forms: list[tuple[int, Follow]] = []
        self._work = _WORK
        for number, pattern in enumerate(values):
            if name := _NAME.fullmatch(pattern):
                self._names.setdefault((name[2].replace("\\.", "."), bool(name[1])), number)
            else:
                self._forms.append((number, self._compiled(pattern)))

    def get(self, paths: Iterable[str]) -> Value | None:
        """The value for a layer.

        Args:
            paths: the layer's path, in each form that a pattern may have been written for.

        Raises:
            PatternError: the patterns take too much work.
        """
        first = min((self._first(path) for path in set(paths)), default=len(self._values))
        return self._values[first] if first < len(self._values) else None

    def _first(self, path: str) -> int:
        starts = [0, *(dot.end() for dot in re.finditer(r"\.", path))]
        named = (self._names.get((path[start:], False)) for start in starts)
        found = [number for number in (*named, self._names.get((path, True)))
                 if number is not None]
        first = min(found, default=len(self._values))
        for number, follow in self._forms:
            if number < first and len(path) in follow(path, set(starts)):
                return number
        return first

    def _compiled(self, pattern: str) -> Follow:
        if len(pattern) > _LONGEST:
            raise PatternError(f"a pattern of {len(pattern)} characters")
        tokens = _TOKEN.findall(pattern)
        if "".join(tokens) != pattern:
            raise PatternError(f"the pattern {pattern!r}")
        tokens.reverse()
        try:
            follow = self._alternatives(tokens)
        except (PatternError, RecursionError, re.error) as error:
            raise PatternError(f"the pattern {pattern!r}") from error
        if tokens:  # a bracket that none has opened
            raise PatternError(f"the pattern {pattern!r}")
        return follow

    def _alternatives(self, tokens: list[str]) -> Follow:
        ways = [self._sequence(tokens)]
        while tokens and tokens[-1] == "|":
            tokens.pop()
            ways.append(self._sequence(tokens))
        if len(ways) == 1:
            return ways[0]
        return lambda text, places: set().union(*(way(text, places) for way in ways))

    def _sequence(self, tokens: list[str]) -> Follow:
        parts = []
        while tokens and tokens[-1] not in ("|", ")"):
            part = self._part(tokens.pop(), tokens)
            if tokens and tokens[-1][0] in "*+?{":
                part = self._repeated(part, tokens.pop())
            parts.append(part)

        def follow(text: str, places: Places) -> Places:
            self._spend(_CALL)
            for part in parts:
                if not places:
                    break
                places = part(text, places)
            return places

        return follow

    def _part(self, token: str, tokens: list[str]) -> Follow:
        if token in ("(", "(?:"):
            inner = self._alternatives(tokens)
            if not tokens or tokens.pop() != ")":
                raise PatternError("a bracket is not closed")
            return inner
        if token == "^":
            return lambda _text, places: places & {0}
        if token == "$":
            return lambda text, places: places & {len(text)}
        if token[0] in "*+?{":
            raise PatternError("nothing to repeat")
        with warnings.catch_warnings():
            # Of what `[[` and the like may mean in a later Python.
            warnings.simplefilter("ignore", FutureWarning)
            sign = re.compile(token)

        def follow(text: str, places: Places) -> Places:
            self._spend(len(places) + _CALL // 4)
            return {place + 1 for place in places if sign.match(text, place)}

        return follow

    def _repeated(self, part: Follow, token: str) -> Follow:
        least, most = _bounds(token)

        def follow(text: str, places: Places) -> Places:
            reached = places if least == 0 else set()
            for count in range(1, most + 1):
                after = part(text, places)
                if count >= least:
                    places = after - reached
                    reached = reached | places
                elif after == places:
                    return after  # the same for ever, as of a part that may match nothing
                else:
                    places = after
                if not places:
                    break
            return reached

        return follow

    def _spend(self, work: int) -> None:
        self._work -= work
        if self._work < 0:
            raise PatternError("patterns that take too long to compare")


def _bounds(token: str) -> tuple[int, int]:
    if count := _COUNT.fullmatch(token):
        if not count[1] and not count[3]:
            raise PatternError("a count without a number")
        least = int(count[1] or 0)
        most = int(count[3]) if count[3] else (_ENDLESS if count[2] else least)
        return least, most
    return {"*": (0, _ENDLESS), "+": (1, _ENDLESS), "?": (0, 1)}[token[0]]
