"""CLIP-R against transformers: its CLIP, image processor and tokenizer, on the same weights."""

import html
from pathlib import Path

import ftfy
import pytest
import torch
from PIL import Image

import checker_references as theirs
import prompt_strings
from jdiff_checker.metrics.clip_r import ClipViT, recall

LIMIT = 1e-5
END = 49407
NOT_LISTED = "a prompt of nobody's"


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with theirs.one_thread():
        yield


@pytest.fixture(scope="module")
def prompts():
    """210 prompts, some of several words, two of them twice."""
    words = list(dict.fromkeys((Path(theirs.__file__).parent / "words.txt").read_text().split()))
    single = words[20:200]
    phrases = [f"{first} and {second}" for first, second in zip(words[:56:2], words[1:56:2],
                                                               strict=True)]
    return [*single, *phrases, single[3], single[100]]


@pytest.fixture(scope="module")
def images():
    return theirs.pictures(theirs.SIZES, seed=2)


@pytest.fixture(scope="module")
def network(weights):
    file = weights / "clip-vit-l-14/open_clip_model.safetensors"
    return ClipViT(file, torch.device("cpu"))


@pytest.fixture(scope="module")
def reference(weights, tmp_path_factory):
    return theirs.ClipRetrieval(weights, tmp_path_factory.mktemp("vocabulary"))


@pytest.fixture(scope="module")
def embedded(network, images):
    with torch.inference_mode():
        return network(torch.stack([network.prepare(image) for image in images]))


@pytest.fixture(scope="module")
def ask(network, embedded, prompts):
    """The package's answer for each of the first images to `prompts` or others."""
    texts = sorted({*prompts, NOT_LISTED})
    known = dict(zip(texts, network.embed_texts(texts).numpy(), strict=True))

    def answers(label, images=None, prompts=prompts):
        return [recall(image.numpy(), label, prompts, known, network.logit_scale)
                for image in embedded[:images]]

    return answers


def worst(first: torch.Tensor, second: torch.Tensor) -> float:
    return float((first - second).abs().max())


def test_embeddings_and_scale_are_those_of_transformers(
    network, reference, embedded, images, prompts
):
    outputs = reference.outputs(images, prompts)
    for size, row, other in zip(theirs.SIZES, embedded, outputs.image_embeds, strict=True):
        assert worst(row, other) <= LIMIT, size
    assert worst(network.embed_texts(prompts), outputs.text_embeds) <= LIMIT
    scale = reference.model.logit_scale.exp().item()
    assert network.logit_scale == pytest.approx(scale, rel=1e-6)


@pytest.mark.parametrize("label", [
    pytest.param(NOT_LISTED, id="not-in-the-list"),
    pytest.param(None, id="in-the-list"),
])
def test_the_five_likeliest_prompts_are_those_of_transformers(
    reference, ask, images, prompts, label
):
    label = label or prompts[40]
    texts = sorted({*prompts, label})  # the official checker's list, which is a set
    assert len(texts) >= 200
    assert len(prompts) > len(set(prompts))
    expected = reference.top5(images, texts)
    assert len({tuple(text for text, _ in row) for row in expected}) >= 4  # images do matter
    for size, answer, row in zip(theirs.SIZES, ask(label), expected, strict=True):
        assert [text for text, _ in answer.top5] == [text for text, _ in row], size
        for (_, odds), (_, other) in zip(answer.top5, row, strict=True):
            assert odds == pytest.approx(other, abs=LIMIT, rel=1e-4), size
        assert answer.label == label
        assert answer.correct is (label in [text for text, _ in row]), size


def test_a_label_counts_up_to_the_fifth_place_and_not_on_the_sixth(
    reference, ask, images, prompts
):
    texts = sorted(set(prompts))
    odds = reference.outputs(images[:1], texts).logits_per_image[0]
    ranked = [texts[place] for place in odds.argsort(descending=True).tolist()]
    verdicts = [ask(label, images=1)[0].correct for label in ranked]
    assert verdicts == [True] * 5 + [False] * (len(ranked) - 5)


def test_a_label_that_is_not_in_the_list_changes_the_probabilities(
    reference, ask, images, prompts
):
    few = prompts[:6]  # so few that one more text shows beyond the limit
    (answer,) = ask(NOT_LISTED, images=1, prompts=few)
    (with_label,) = reference.top5(images[:1], [*few, NOT_LISTED])
    (without,) = reference.top5(images[:1], few)
    assert answer.top5[0][1] == pytest.approx(with_label[0][1], abs=LIMIT)
    assert abs(answer.top5[0][1] - without[0][1]) > 100 * LIMIT


def ids(tokenizer, text):
    """transformers' ids up to the end of the text."""
    found = tokenizer(text, truncation=True, max_length=77).input_ids
    return found[:found.index(END) + 1]


def our_ids(text):
    from open_clip.tokenizer import tokenize  # after torchvision was prepared

    found = tokenize([text])[0].tolist()
    return found[:found.index(END) + 1]


@pytest.mark.parametrize("text", [
    "ring", "snow white_and-the 7", "ring.png", "the  two\tspaces", "don't", "o'clock", "3.14",
    "café", "cafe\u0301", "ñandú", "straße", "日本", "🎨", "!", "", "w" * 300, "cat " * 100,
], ids=ascii)
def test_a_text_is_cut_into_transformers_tokens(reference, text):
    found = our_ids(text)
    assert found == ids(reference.tokenizer, text)
    assert len(found) <= 77


def test_odd_texts_are_cut_as_transformers_does_once_repaired(reference):
    """OpenAI's tokenizer mends quotes, ligatures and HTML first; not all of transformers' do."""
    texts = [text.strip().lower() for text in prompt_strings.prompts(seed=5, count=400)]
    texts = [text for text in texts if "<|" not in text and "|>" not in text]  # its own special
    texts += ["rock &amp; roll", "&lt;b&gt;", "ﬁne art", "“quoted”", "２０"]
    assert len(texts) > 300
    for text in texts:
        repaired = html.unescape(html.unescape(ftfy.fix_text(text)))
        assert our_ids(text) == ids(reference.tokenizer, repaired), ascii(text)


def test_embeddings_of_odd_texts_are_those_of_transformers(network, reference, images):
    texts = ["", "snow white_and-the 7", "café", "日本 🎨", "cat " * 100]
    outputs = reference.outputs(images[:1], texts)
    assert worst(network.embed_texts(texts), outputs.text_embeds) <= LIMIT


def test_the_limit_tells_bilinear_resizing(reference, embedded, images):
    mistaken = reference.outputs(images, ["ring"], resample=Image.Resampling.BILINEAR)
    for size, row, other in zip(theirs.SIZES, embedded, mistaken.image_embeds, strict=True):
        # At 224 x 224 nothing is resized.
        assert worst(row, other) > 10 * LIMIT or size == (224, 224), size


def test_the_limit_tells_exact_gelu(network, reference, embedded, images, prompts):
    mistaken = reference.with_activation("gelu").outputs(images, prompts)
    assert worst(embedded, mistaken.image_embeds) > 10 * LIMIT
    assert worst(network.embed_texts(prompts), mistaken.text_embeds) > 10 * LIMIT
    odds = mistaken.logits_per_image.softmax(dim=1)
    right = reference.outputs(images, prompts).logits_per_image.softmax(dim=1)
    assert worst(odds, right) > LIMIT
