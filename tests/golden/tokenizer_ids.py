#!/usr/bin/env python3
"""Makes tokenizer_ids.json: small vocabularies, and the token ids that other programs give for the strings in it.

    pip install tokenizers==0.23.3 sentencepiece==0.2.3 gguf==0.19.0 xllamacpp==2026.10.11549
    tests/golden/tokenizer_ids.py SmolLM2-135M-Instruct.Q4_1.gguf

References: the `tokenizers` package (what transformers runs) on a tokenizer.json of each form, the `sentencepiece`
package on its own model, and llama.cpp (whose functions xllamacpp's library exports) on a GGUF file of the same
vocabulary. They must agree with one another, or the file says where they do not. Vocabularies are trained here, on
Python's own help texts and the strings; the patterns and the forms are those of the models named.
"""
import ctypes
import importlib.util
import json
import os
import pathlib
import pydoc_data.topics
import random
import sys
import tempfile
import unicodedata

import gguf
import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


# ---- strings

WRITTEN = [
    "", "a", " a", "  a", "a  b", "a   b", " ", "  ", "\n", "\n\n", "\t\t", " \n ", "\r\n", "a\r\nb\r\n\r\nc", "   \n  x",
    "The capital of France is", "I'm sure you'll say they've gone; don't!", "I'M SURE YOU'LL SAY THEY'VE GONE; DON'T!",
    "it's 'sudden 't 're 've 'm 'll 'd 'S 'T 'RE 'Ve 'M 'lL 'D 'x '", "3.14159 and 2024-11-24, 1000000", "1 12 123 1234 12345 123456789",
    "x=1\n\n\n  y = 2\t\tz", "def f(x):\n\treturn x**2  # square\n", "for (int i = 0; i < n; ++i) { a[i] += b[i]; }\n",
    "naïve café — déjà vu… “quoted”", "日本語のテキスト", "中文字符，标点。", "한국어 텍스트", "Привет, мир!", "שלום עולם", "مرحبا بالعالم ٣٤٥",
    "नमस्ते दुनिया १२३", "สวัสดีชาวโลก", "ខ្មែរ", "ಕನ್ನಡ ೧೨", "Ελληνικά Ω", "ⅣⅤ ½ ² ₃ ① 𝟘𝟙 𝒳𝒴", "a\u0301 e\u0301 combining", "é e\u0301 Å A\u030a \u212b ﬁ ㎏",
    "\u1100\u1161\u11a8 각", "emoji 👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇫🇷🇩🇪 ok", "☃★♥ →⇒ ∑∫√ ±×÷", "zero\u200bwidth\u200djoin\ufeff", "\u00a0nbsp\u00a0\u00a0x", "\u2003em\u2009thin\u3000wide", "\u0085next\u2028line\u2029par",
    "\u180emongolian", "\u202eright\u202c", "\x00\x01\x02\x1b[0m\x7f", "\x1c\x1d\x1e\x1f", "a\x0bb\x0cc", "ſ'ſ \u212a'LL", "ǅ ʰ ª º ーa", "_under_score__", "!!!???...", "...\n\n...", "a.\n", "a .\n\n b",
    "https://example.org/path?q=1&r=%20#frag", "<html><body class=\"x\">&amp;</body></html>", "{\"key\": [1, 2.5e-3, null]}", "$100 €5 £3 ¥7", "10%±0.5°C", "#hash @user", "\\n not newline \\t",
    "\u2581already\u2581marked", "<0x41>", "<s>", "<|endoftext|>", "<|im_start|>user\nHi<|im_end|>", "[tool]x[tool] [tool]", "A" * 70, " " * 17 + "x", "\n" * 9, "ab" * 40, "1" * 40, "-" * 60, "\ud7ff\ue000\ufffd", "\U0010fffd\U000e0001",
]


def make_strings():
    """The written ones, then strings of every Unicode category, of digits, of white space, of everything mixed."""
    draw = random.Random(20261124)
    by_category = {}
    for point in range(0x110000):
        category = unicodedata.category(chr(point))
        if category not in ("Cn", "Cs", "Co"):
            by_category.setdefault(category, []).append(chr(point))
    words = sorted({w for w in pydoc_data.topics.topics["for"].split() if len(w) < 9})
    white = [" ", " ", " ", "\n", "\t", "\r\n", "\u00a0", "\u3000", "\u2028"]
    strings = list(WRITTEN)
    for category in sorted(by_category):
        for length in (1, 3, 6):
            strings.append("".join(draw.choice(by_category[category]) for _ in range(length)))
            strings.append(" ".join(draw.choice(by_category[category]) for _ in range(length)))
            strings.append("a" + "".join(draw.choice(by_category[category]) for _ in range(length)) + "1b")
    for length in range(1, 12):
        strings.append("".join(draw.choice("0123456789") for _ in range(length)))
        strings.append("x" + "".join(draw.choice("0123456789٣४²½") for _ in range(length)) + " y")
    for length in range(1, 12):
        for _ in range(3):
            strings.append("a" + "".join(draw.choice(white) for _ in range(length)) + draw.choice(["", "b", "1", "!", "'s"]))
    while len(strings) < 600:
        parts = []
        for _ in range(draw.randrange(1, 9)):
            kind = draw.randrange(8)
            if kind < 3:
                parts.append(draw.choice([" ", ""]) + draw.choice(words))
            elif kind == 3:
                parts.append(draw.choice(white))
            elif kind == 4:
                parts.append(str(draw.randrange(10 ** draw.randrange(1, 7))))
            elif kind == 5:
                parts.append(draw.choice([".", ",", "!?", "'s", "'LL", "\"", "()", " - ", "://"]))
            elif kind == 6:
                parts.append(draw.choice("éüßñçøåæœλжשع中日한👍🎉❤\ufe0f\u200d\u0301"))
            else:
                parts.append(draw.choice(by_category[draw.choice(sorted(by_category))]))
        strings.append("".join(parts))
    assert len(set(strings)) > 550
    return strings


# ---- llama.cpp, by the functions in xllamacpp's library

class LlamaCpp:
    class Parameters(ctypes.Structure):  # of loading a model: only one field matters here
        _fields_ = [("before", ctypes.c_uint8 * 72), ("vocab_only", ctypes.c_bool), ("after", ctypes.c_uint8 * 55)]

    def __init__(self):
        folder = pathlib.Path(importlib.util.find_spec("xllamacpp").origin).parent
        self.library = library = ctypes.CDLL(str(next(folder.glob("xllamacpp*.so"))))
        library.llama_model_default_params.restype = self.Parameters
        library.llama_model_load_from_file.restype = ctypes.c_void_p
        library.llama_model_load_from_file.argtypes = [ctypes.c_char_p, self.Parameters]
        library.llama_model_get_vocab.restype = ctypes.c_void_p
        library.llama_model_get_vocab.argtypes = [ctypes.c_void_p]
        library.llama_tokenize.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32, ctypes.c_void_p,
                                           ctypes.c_int32, ctypes.c_bool, ctypes.c_bool]
        log = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
        self.quiet = log(lambda *_: None)
        library.llama_log_set.argtypes = [log, ctypes.c_void_p]
        library.llama_log_set(self.quiet, None)
        library.llama_backend_init()

    def tokenizer(self, path):
        parameters = self.library.llama_model_default_params()
        parameters.vocab_only = True
        model = self.library.llama_model_load_from_file(os.fsencode(path), parameters)
        assert model, path
        vocabulary = self.library.llama_model_get_vocab(model)

        def encode(text, special=False):
            data = text.encode()
            room = (ctypes.c_int32 * (len(data) + 16))()
            count = self.library.llama_tokenize(vocabulary, data, len(data), room, len(room), False, special)
            assert count >= 0
            return list(room[:count])
        return encode


def write_gguf(path, model, tokens, kinds, merges=None, scores=None, pre=None, space_prefix=None):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model(model)
    if pre:
        writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    if merges:
        writer.add_token_merges(merges)
    if scores:
        writer.add_token_scores(scores)
    if space_prefix is not None:
        writer.add_add_space_prefix(space_prefix)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


# ---- byte-level

def train_byte_level(texts):
    """With Llama 3's pattern, the widest of them; three special tokens stand in front."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(LLAMA3), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    trainer = trainers.BpeTrainer(vocab_size=1000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
                                  special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def byte_level_forms():
    level = lambda regex: pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=regex)
    split = lambda pattern: pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), level(False)])
    return {
        "smollm": (None, pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), level(True)]), False),
        "gpt-2": (None, level(True), False),
        "llama-bpe": (None, split(LLAMA3), True),
        "qwen2": (normalizers.NFC(), split(QWEN2), False),
    }


# ---- SentencePiece

def train_sentencepiece(texts, folder):
    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join(line for text in texts for line in text.split("\n")))
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus), model_prefix=str(folder / "small"), model_type="bpe", vocab_size=800, byte_fallback=True,
        character_coverage=0.995, normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True,
        allow_whitespace_only_pieces=True, user_defined_symbols=["[tool]"], unk_id=0, bos_id=1, eos_id=2, pad_id=-1,
        num_threads=1, minloglevel=2)
    return sentencepiece.SentencePieceProcessor(model_file=str(folder / "small.model"))


def kind_of(model, id):
    if model.IsUnknown(id):
        return 2
    if model.IsControl(id):
        return 3
    if model.IsByte(id):
        return 6
    return 4 if model.IdToPiece(id) == "[tool]" else 1


def ranked_merges(tokens, scores, kinds):
    """Every cut of a token into two tokens, by the token's score: what transformers makes of a SentencePiece model."""
    ids = {token: id for id, token in enumerate(tokens) if kinds[id] in (1, 4)}
    merges = []
    for token, id in ids.items():
        if kinds[id] == 4:
            continue
        cuts = [(token[:i], token[i:]) for i in range(1, len(token)) if token[:i] in ids and token[i:] in ids]
        merges += [(-scores[id], ids[a], ids[b], a, b) for a, b in cuts]
    return [(a, b) for *_, a, b in sorted(merges)]


def marked_space_forms():
    mark = normalizers.Replace(" ", "▁")
    return {
        "llama-2": (normalizers.Sequence([normalizers.Prepend("▁"), mark]), None),
        "llama-2 metaspace": (None, pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)),
        "gemma": (mark, pre_tokenizers.Split(" ", "merged_with_previous")),
    }


def form_of(tokenizer):
    """tokenizer.json without its vocabulary, which all forms of a kind share."""
    form = json.loads(tokenizer.to_str())
    del form["model"]["vocab"], form["model"]["merges"]
    return form


def main():
    strings = make_strings()
    texts = [pydoc_data.topics.topics[key] for key in sorted(pydoc_data.topics.topics)] + strings
    llama_cpp = LlamaCpp()
    golden = {"strings": strings, "byte_level": {}, "sentencepiece": {}, "ids": {}, "special_ids": {}, "forms": {}, "unlike": {}}

    def record(name, ids, others):
        golden["ids"][name] = ids
        for other, theirs in others.items():
            unlike = [i for i, (a, b) in enumerate(zip(ids, theirs)) if a != b]
            print(f"{name}: {len(ids)} strings, {other} differs at {len(unlike)}: {[strings[i] for i in unlike][:8]}")
            if unlike:
                golden["unlike"].setdefault(name, {})[other] = {str(i): theirs[i] for i in unlike}

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        trained = train_byte_level(texts)
        parts = json.loads(trained.to_str())
        vocabulary = parts["model"]["vocab"]
        merges = [" ".join(merge) if isinstance(merge, list) else merge for merge in parts["model"]["merges"]]
        tokens = sorted(vocabulary, key=vocabulary.get)
        golden["byte_level"] = {"tokens": tokens, "merges": merges, "special": 3}
        for form, (normalizer, pre_tokenizer, ignore_merges) in byte_level_forms().items():
            trained.pre_tokenizer = pre_tokenizer
            trained.normalizer = normalizer if normalizer else normalizers.Sequence([])
            parts = json.loads(trained.to_str())
            parts["model"]["ignore_merges"] = ignore_merges
            if not normalizer:
                parts["normalizer"] = None
            tokenizer = Tokenizer.from_str(json.dumps(parts))
            golden["forms"][form] = form_of(tokenizer)
            golden["special_ids"][form] = [tokenizer.encode(s).ids for s in strings if "<|" in s]
            # without control tokens: what a corpus is read with
            tokenizer.encode_special_tokens = True
            write_gguf(folder / form, "gpt2", tokens, [3] * 3 + [1] * (len(tokens) - 3), merges=merges, pre=form)
            theirs = llama_cpp.tokenizer(folder / form)
            record(form, [tokenizer.encode(s).ids for s in strings], {"llama.cpp": [theirs(s) for s in strings]})

        model = train_sentencepiece(texts, folder)
        size = model.GetPieceSize()
        tokens = [model.IdToPiece(id) for id in range(size)]
        scores = [model.GetScore(id) for id in range(size)]
        kinds = [kind_of(model, id) for id in range(size)]
        merges = ranked_merges(tokens, scores, kinds)
        golden["sentencepiece"] = {"tokens": tokens, "scores": scores, "kinds": kinds, "merges": [list(m) for m in merges]}
        write_gguf(folder / "llama", "llama", tokens, kinds, scores=scores)
        write_gguf(folder / "gemma", "llama", tokens, kinds, scores=scores, space_prefix=False)
        theirs = {"llama-2": llama_cpp.tokenizer(folder / "llama"), "gemma": llama_cpp.tokenizer(folder / "gemma")}
        for form, (normalizer, pre_tokenizer) in marked_space_forms().items():
            tokenizer = Tokenizer(models.BPE({token: id for id, token in enumerate(tokens)}, merges, byte_fallback=True,
                                             fuse_unk=True, unk_token="<unk>"))
            if normalizer:
                tokenizer.normalizer = normalizer
            if pre_tokenizer:
                tokenizer.pre_tokenizer = pre_tokenizer
            tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t in tokens[:3]])
            tokenizer.add_tokens([AddedToken("[tool]", normalized=False)])
            golden["forms"][form] = form_of(tokenizer)
            golden["special_ids"][form] = [tokenizer.encode(s).ids for s in strings if "<s>" in s]
            tokenizer.encode_special_tokens = True
            others = {}
            if form in theirs:
                others["llama.cpp"] = [theirs[form](s) for s in strings]
            if form == "llama-2":
                others["sentencepiece"] = [model.EncodeAsIds(s) for s in strings]
            record(form, [tokenizer.encode(s).ids for s in strings], others)

    theirs = llama_cpp.tokenizer(sys.argv[1])
    golden["ids"]["SmolLM2"] = [theirs(s) for s in strings]
    path = pathlib.Path(__file__).with_name("tokenizer_ids.json")
    lines = []
    for key, value in golden.items():
        lines.append(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=True, separators=(',', ':'))}")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(path, path.stat().st_size, "bytes")


main()
