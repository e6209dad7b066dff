"""Strings that try a CLIP tokenizer, drawn from a seed.

They are not stored beside the expected token ids: both sides draw them again.  Only
``random.Random.random`` is used, whose numbers Python promises to keep for a seed.
Characters come from blocks that have long been assigned, so that the Unicode version of a
regular expression engine does not matter.
"""

# Lists of quoted words would be hard to read.
# ruff: noqa: SIM905

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

#: What the reference pictures are drawn with.
PROMPT = "a watercolour painting of a lighthouse, it's stormy!"
NEGATIVE_PROMPT = "blurry photo"

WORDS = (
    "cat horse mountain lighthouse teapot astronaut violin sunflower bridge painting watercolour "
    "style expressionism ultra-detailed masterpiece portrait of in the with a red silver over 8k "
    "intricate bokeh Kandinsky pneumonoultramicroscopicsilicovolcanoconiosis xqzjk"
).split()
CONTRACTIONS = ("it's", "don't", "we're", "I've", "I'M", "she'll", "he'd", "'s", "o'clock'", "’s")
PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~…—–«»“”„¿¡§©®°±×÷€£¥"
NUMBERS = ("0", "7", "42", "1900", "512x512", "3.14", "1,000", "1e-4", "２０", "²", "½", "Ⅳ", "٣")
# Latin with accents, Greek with both sigmas, Cyrillic, Han, kana, Hangul, Arabic with vowel
# signs, Hebrew with points, Thai, Devanagari, Armenian, Georgian; and letters whose lower case
# is longer, or has another script's shape.
FOREIGN = (
    "café naïve façade Ångström crème BRÛLÉE straße GROẞE İstanbul ıssız ŒUVRE Đà Nẵng ǅ ŉ ﬁne "
    "ΟΔΥΣΣΕΥΣ λόγος ΦΩΣ картина МОРЕ ёлка їжак 絵画 風景画 水彩 猫が好き カタカナ 山水画 书法 "
    "그림 고양이 مرحبا لَوْحَة فنّ שָׁלוֹם ציור ภาพวาด น้ำตก चित्रकला हिन्दी Նկար ხელოვნება ꙮ 𝔄𝔯𝔱 𠮷"
).split()
COMBINING = (
    "e\u0301 A\u030a o\u0308\u0304 n\u0303 q\u0307\u0323 \u0301x \u1100\u1161\u11a8 \u212b "
    "\u0915\u093c \u03b1\u0313\u0342 I\u0307 \u0344"
).split()
EMOJI = ("🙂 🎨 ❤️ ❤ 👍🏽 👩‍🎨 👨‍👩‍👧‍👦 🏳️‍🌈 🇨🇳 🇫🇷🇩🇪 1️⃣ ☃ ✨ 🖼️ 😀😀").split()
# Some are white space for one engine and not for another: the separators U+001C-U+001F, the zero
# width ones, the next-line control.
SPACES = (
    "  ", "\t", "\n", "\r\n", "\x0b", "\x0c", "\u00a0", "\u3000", "\u2003", "\u2028", "\u0085",
    "\u200b", "\ufeff", "\x1c", "\x1f", "\u180e", "\x00", "\x7f", "\u00ad", "\u200d",
)  # fmt: skip
SPECIAL = (
    "<|startoftext|>", "<|endoftext|>", "<|EndOfText|>", "<|endoftext |>", "</w>", "<|", "|>",
    "cat</w>",
)  # fmt: skip


def prompts(seed: int, count: int = 1000) -> list[str]:
    """Return ``count`` strings: some fixed corner cases, then random ones of every kind."""
    rng = random.Random(seed)
    kinds: Sequence[Callable[[random.Random], str]] = (
        plain, mixed_case, punctuated, foreign, decorated, spaced, special, overlong, everything,
    )  # fmt: skip
    fixed = ["", " ", "   \n\t ", "!", "!!!", "\u3000", "a" * 300, "<|endoftext|>" * 80, "🎨" * 60]
    return (fixed + [kinds[i % len(kinds)](rng) for i in range(count)])[:count]


def pick(rng: random.Random, items: Sequence[T]) -> T:
    """Return one of ``items``."""
    return items[int(rng.random() * len(items))]


def several(rng: random.Random, items: Sequence[str], most: int) -> list[str]:
    """Return between 1 and ``most`` of ``items``, with repetition."""
    return [pick(rng, items) for _ in range(1 + int(rng.random() * most))]


def plain(rng: random.Random) -> str:
    """An ordinary prompt."""
    return " ".join(several(rng, WORDS, 12))


def mixed_case(rng: random.Random) -> str:
    """Upper and lower case at random."""
    return "".join(c.upper() if rng.random() < 0.4 else c for c in plain(rng))


def punctuated(rng: random.Random) -> str:
    """Words, contractions, numbers and punctuation, with and without spaces between."""
    parts = several(rng, [*WORDS, *CONTRACTIONS, *NUMBERS, *PUNCTUATION], 20)
    return "".join(part + pick(rng, ("", " ", ", ")) for part in parts)


def foreign(rng: random.Random) -> str:
    """Words of other scripts, some run together."""
    return "".join(part + pick(rng, ("", " ")) for part in several(rng, FOREIGN, 10))


def decorated(rng: random.Random) -> str:
    """Combining accents and emoji sequences among words."""
    parts = several(rng, [*COMBINING, *EMOJI, *WORDS[:6]], 12)
    return "".join(part + pick(rng, ("", " ")) for part in parts)


def spaced(rng: random.Random) -> str:
    """Words between unusual white space and control characters."""
    return "".join(pick(rng, WORDS) + pick(rng, SPACES) for _ in range(8))


def special(rng: random.Random) -> str:
    """Text that spells special tokens, or nearly."""
    parts = several(rng, [*SPECIAL, *WORDS, "!"], 8)
    return "".join(part + pick(rng, ("", " ")) for part in parts)


def overlong(rng: random.Random) -> str:
    """More than fits into 77 tokens."""
    return " ".join(pick(rng, [*WORDS, *FOREIGN]) for _ in range(90))


def everything(rng: random.Random) -> str:
    """All of the above in one string."""
    pool = [*WORDS, *CONTRACTIONS, *PUNCTUATION, *NUMBERS, *FOREIGN, *COMBINING, *EMOJI, *SPACES]
    return "".join(part + pick(rng, ("", " ")) for part in several(rng, [*pool, *SPECIAL], 25))
