"""What Hugging Face's tokenizers and Google's sentencepiece make of nasty texts, for tests that must not need Python.

Trains small tokenizers of every kind that is read, on the text below, and writes each with the tokens that its own library
gives for every case, and what it decodes them to.

    pip install tokenizers==0.23.3 sentencepiece==0.2.3
    python make_fixtures.py --out .
"""

import argparse
import io
import json
from pathlib import Path

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

# Sentences made up for this purpose; the repetitions give the trainers something to learn.
TEXT = "\n".join([
    "The miller's daughter didn't know that they'll be here at seven; we've told her, and I'm sure she'd have come.",
    "In 1847, 12 ships left the harbour; 1,048,576 barrels were counted, 3.14159 of them twice.",
    "Where the river bends there stands a mill, and in the mill there lives a miller, and the miller has a daughter.",
    "Über den Flüssen liegt Nebel; naïve Gäste trinken Kaffee in der Straße. Ça va très bien, merci.",
    "Она пришла домой, и они говорили о погоде. Погода была хорошая, и они были рады.",
    "東京は大きい町です。東京の町は大きいです。日本の町。",
    "def miller(daughter):\n    return  {\"mill\": daughter[0], 'river': 1.5}\n\tif x != y:  z += 1",
    "that that that there there where where when then than the them they their here her he she",
] * 6) + "\n"

CASES = [
    "", " ", "  ", "\n", "\n\n", " \n \n", "a", " a", "a ", "  a  b   c    ", "The miller's daughter",
    "I'm sure they'll've done it: we'd, SHE'S, DON'T, It'S, o'\u017f x'\u017f",
    "12345 1 22 333 4444 \u00bd \u2167 \u0661\u0662\u0663", "x=1;y==2!!!\n\n\tz--> ...\r\n\r\n  end\r",
    "caf\u00e9 cafe\u0301 \u00fcber stra\u00dfe \u1e9e \ufb01 \u2126 \u212b \uff21\uff22\uff23 \u3000x\u00a0y\u2003z",
    "\u6771\u4eac\u306f\u5927\u304d\u3044\u753a\u3067\u3059\u3002", "\u041e\u043d\u0430 \u043f\u0440\u0438\u0448\u043b\u0430 \u0434\u043e\u043c\u043e\u0439",
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 \U00020000 \ue000 \u200b\ufeffx", "<s>The mill</s> <|endoftext|>the<unk> <0x41>",
    "tab\tseparated\tvalues\x0bvertical\x0cform\x85next\u2028line\u2029par", "\u2581already \u2581\u2581there", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "the" * 40, " ".join(["where the river bends"] * 5), "\u0301combining first", "\u1112\u1161\u11ab \ud55c", "x\u0000y\u0001z\u007f",
]

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def train(tokenizer, size, special, alphabet=()):
    trainer = trainers.BpeTrainer(
        vocab_size=size, min_frequency=2, special_tokens=list(special), initial_alphabet=list(alphabet), show_progress=False)
    tokenizer.train_from_iterator(TEXT.splitlines(keepends=True), trainer)
    return tokenizer


def byte_level(pre_tokenizer, size=480, special=("<|endoftext|>",)):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    return train(tokenizer, size, special, sorted(pre_tokenizers.ByteLevel.alphabet()))


def gpt2():
    return byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False))


def prefixed():
    return byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True), special=("<s>", "</s>"))


def split(expression):
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(expression), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def llama3():
    tokenizer = byte_level(split(LLAMA3))
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)])])
    # Whole words that merges alone do not reach: with ignore_merges they are tokens all the same.
    data = json.loads(tokenizer.to_str())
    data["model"]["ignore_merges"] = True
    for number, word in enumerate(["Ġstands", "miller", "Ġdaughters"]):
        data["model"]["vocab"].setdefault(word, 480 + number)
    # The present form of merges: pairs, not texts.
    return Tokenizer.from_str(json.dumps(data))


def qwen2():
    tokenizer = byte_level(split(LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.add_tokens([AddedToken("<tool>", normalized=True), AddedToken("\u00e9t\u00e9", normalized=True)])
    return tokenizer


def characters(size=620):
    """Llama's and Mistral's: characters, blanks as U+2581, bytes for what has no token."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    # Trained with words told apart, as SentencePiece does; used without.
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="never")
    train(tokenizer, size, ["<unk>", "<s>", "</s>", *BYTES])
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = [token for token in data["added_tokens"] if token["content"] not in BYTES]
    data["pre_tokenizer"] = None
    tokenizer = Tokenizer.from_str(json.dumps(data))
    tokenizer.decoder = decoders.Sequence([
        decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return tokenizer


def metaspace(scheme, split):
    tokenizer = characters()
    tokenizer.normalizer = None
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme=scheme, split=split)
    return tokenizer


def unknown():
    """No bytes to fall back to, and a tiny alphabet."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="\u2581", prepend_scheme="always")
    trainer = trainers.BpeTrainer(vocab_size=120, special_tokens=["<unk>"], limit_alphabet=40, show_progress=False)
    tokenizer.train_from_iterator(TEXT.splitlines(keepends=True), trainer)
    return tokenizer


HUGGING_FACE = {
    "gpt2": gpt2, "prefixed": prefixed, "llama3": llama3, "qwen2": qwen2, "llama": characters,
    "metaspace-first": lambda: metaspace("first", False), "metaspace-always": lambda: metaspace("always", True),
    "unknown": unknown,
}

SENTENCEPIECE = {
    "mistral": dict(
        model_type="bpe", vocab_size=640, byte_fallback=True, normalization_rule_name="identity", character_coverage=0.99,
        remove_extra_whitespaces=False, split_digits=True, allow_whitespace_only_pieces=True),
    "bpe-nfkc": dict(model_type="bpe", vocab_size=300, user_defined_symbols=["<tool>", "mill"], hard_vocab_limit=False),
    "unigram": dict(model_type="unigram", vocab_size=260, hard_vocab_limit=False),
    "unigram-bytes": dict(
        model_type="unigram", vocab_size=480, byte_fallback=True, user_defined_symbols=["<tool>", "river"],
        normalization_rule_name="nfkc", hard_vocab_limit=False),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("."))
    out = parser.parse_args().out
    (out / "text.txt").write_text(TEXT, encoding="utf-8", newline="")
    expected = {}
    for name, make in HUGGING_FACE.items():
        tokenizer = make()
        path = out / f"{name}.tokenizer.json"
        path.write_text(tokenizer.to_str(), encoding="utf-8")
        tokenizer = Tokenizer.from_file(str(path))
        ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in CASES]
        expected[path.name] = {"tokens": ids, "decoded": [tokenizer.decode(tokens, skip_special_tokens=False) for tokens in ids]}
    for name, options in SENTENCEPIECE.items():
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(TEXT.splitlines()), model_writer=model, minloglevel=2, num_threads=1, **options)
        path = out / f"{name}.model"
        path.write_bytes(model.getvalue())
        processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
        # The library's C++ strings end at no zero, but its Python wrapper's do not cut either.
        ids = [processor.encode(text) for text in CASES]
        expected[path.name] = {"tokens": ids, "decoded": [processor.decode(tokens) for tokens in ids]}
    document = {"cases": CASES, "expected": expected}
    (out / "expected.json").write_text(json.dumps(document, ensure_ascii=True, separators=(",", ":")) + "\n", encoding="utf-8")


main()
