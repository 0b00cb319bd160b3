"""Writes the CLIP and tokenizer fixtures with their expected outputs, computed by transformers.

    python make_clip.py --out DIR

Deterministic: seeded weights and inputs, one thread. The committed files were made with transformers 5.23.0,
tokenizers 0.23.3 and torch 2.11.0.
"""

import argparse
import json
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
)

MERGES = 320
BOS, EOS = "<|startoftext|>", "<|endoftext|>"

CORPUS = """
make the sky blue and the grass green, turn the photo into a painting of the sea
move the red car to the left by ten percent, then rotate the view by forty five degrees
add two white birds above the house, remove the person on the right and keep everything else
it's a photo of a dog; don't change the dog's colour, we've seen what they'll do and I'm sure you're right
swap the large circle with the small square, put the green triangle under the yellow star
what if it were winter? give her a hat and make the old man look younger, in the style of van gogh
di chuyển vật sang trái, thêm hai con chim màu trắng phía trên ngôi nhà, xoá người bên phải
làm cho bầu trời xanh hơn và giữ nguyên mọi thứ khác, đổi màu chiếc xe thành màu đỏ
xoay khung cảnh bốn mươi lăm độ, đặt hình tam giác dưới ngôi sao vàng, biến bức ảnh thành tranh sơn dầu
"""

TEXTS = [
    "",
    " ",
    "  \t \n  ",
    "a photo of a cat",
    "A PHOTO OF A CAT",
    "  make   the\tsky\n\nblue  ",
    "no-break\u00a0space, em\u2003space and\u3000ideographic space",
    "zero\u200bwidth and soft\u00adhyphen",
    "Hello, world!!! (really?) [yes] {no} <maybe> & more...",
    "!",
    "wow!wow ! !!",
    "under_score and dash-dash--dash 'quoted' \"double\" `tick`",
    "0 1 12 123 1234567890",
    "move it by 10% or 3.5cm, rotate 45\u00b0, add x\u00b2 and \u00bd",
    "it's don't we've they'll I'm you're he'd 'tis rock'n'roll",
    "IT'S DON'T WE'VE",
    "caf\u00e9 na\u00efve r\u00e9sum\u00e9 \u00c5ngstr\u00f6m \u00dcBER stra\u00dfe STRASSE",
    "cafe\u0301 nai\u0308ve A\u030angstro\u0308m",
    "\u0130stanbul I\u0307 \u0131",
    "\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2 \u0395\u03bb\u03bb\u03ac\u03b4\u03b1 \u041c\u043e\u0441\u043a\u0432\u0430",
    "di chuy\u1ec3n v\u1eadt sang tr\u00e1i 10%",
    "di chuye\u0302\u0309n va\u0323\u0302t sang tra\u0301i 10%",
    "TH\u00caM HAI CON CHIM M\u00c0U TR\u1eaeNG \u0110\u1ea6U TI\u00caN",
    "\U0001f600 smile \U0001f468\u200d\U0001f469\u200d\U0001f467 family \U0001f1fb\U0001f1f3 flag \u2764\ufe0f heart",
    "\U0001f44d\U0001f3fd\U0001f44d",
    "\u628a\u5929\u7a7a\u53d8\u6210\u84dd\u8272 \u7d05\u3044\u8eca\u3092\u5de6\u306b \ud558\ub298\uc744 \ud30c\ub797\uac8c",
    "mixed\u4e2d\u6587and english",
    "\u0627\u0644\u0633\u0645\u0627\u0621 \u0632\u0631\u0642\u0627\u0621 \u05e9\u05dc\u05d5\u05dd",
    "\u0928\u092e\u0938\u094d\u0924\u0947 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35",
    "before <|endoftext|> after",
    "<|startoftext|>nested<|endoftext|>",
    "<|ENDOFTEXT|> <|StartOfText|> <| endoftext |>",
    "tight<|endoftext|>tight",
    "null\u0000byte bell\u0007 escape\u001b[31m del\u007f c1\u0085next",
    "carriage\r\nreturn \u2028line \u2029paragraph \ufeffbom \ufffdreplacement",
    "\ufb01ligature \uff26\uff35\uff2c\uff2c\uff37\uff29\uff24\uff34\uff28 \u2460 \u2163",
    "URL https://example.org/a?b=c&d=e#f and mail a.b@c.de",
    "C:\\path\\file.txt | pipe ~ tilde ^ caret $5 \u20ac7",
    "snake_case camelCase PascalCase kebab-case v1.2.3",
    "a" * 300,
    "move the red car to the left " * 20,
    "!" * 100,
    "\u1ec7" * 60,
    "\U0001f600" * 40,
    "x " * 74 + "x",
    "x " * 75,
    "x " * 76,
    "x " * 75 + "The LOST Part, isn't it? \U0001f600 ti\u1ebfng Vi\u1ec7t <|endoftext|> end",
]


def added(content):
    """A special token as the first Stable Diffusion models write it."""
    return {"content": content, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}


def write_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def train_merges():
    """A small byte-level BPE over words as CLIP splits them. The library's own trainer breaks ties at random."""
    clip = CLIPTokenizer().backend_tokenizer  # with no vocabulary; it brings the normalizer and the splitting
    words = Counter()
    for line in CORPUS.strip().splitlines():
        for word, _ in clip.pre_tokenizer.pre_tokenize_str(clip.normalizer.normalize_str(line)):
            words[(*word[:-1], word[-1] + "</w>")] += 1
    merges = []
    while len(merges) < MERGES:
        pairs = Counter()
        for word, count in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += count
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        words = Counter({merge(word, best): count for word, count in words.items()})
    return merges


def merge(word, pair):
    """`word` with each `pair` of neighbours as one symbol."""
    symbols, i = [], 0
    while i < len(word):
        width = 2 if word[i : i + 2] == pair else 1
        symbols.append("".join(word[i : i + width]))
        i += width
    return tuple(symbols)


def byte_alphabet():
    """The printable stand-ins of the 256 bytes, in CLIP's order: "!" is the first."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]


def write_vocabulary(folder, merges):
    folder.mkdir(parents=True)
    symbols = byte_alphabet()
    tokens = symbols + [s + "</w>" for s in symbols] + [a + b for a, b in merges] + [BOS, EOS]
    assert len(set(tokens)) == len(tokens)
    vocab = {token: i for i, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *(f"{a} {b}" for a, b in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_tokenizers(out):
    """One folder per way in which published models describe the same tokenizer."""
    merges = train_merges()

    # Stable Diffusion 1.x: pads with the end token.
    sd1 = out / "tokenizer_sd1"
    write_vocabulary(sd1, merges)
    config = {
        "add_prefix_space": False,
        "bos_token": {"__type": "AddedToken", **added(BOS)},
        "do_lower_case": True,
        "eos_token": {"__type": "AddedToken", **added(EOS)},
        "errors": "replace",
        "model_max_length": 77,
        "pad_token": EOS,
        "special_tokens_map_file": "./special_tokens_map.json",
        "tokenizer_class": "CLIPTokenizer",
        "unk_token": {"__type": "AddedToken", **added(EOS)},
    }
    write_json(sd1 / "tokenizer_config.json", config)
    special = {"bos_token": added(BOS), "eos_token": added(EOS), "pad_token": EOS, "unk_token": added(EOS)}
    write_json(sd1 / "special_tokens_map.json", special)

    # Stable Diffusion 2.x: the special tokens' file overrides the padding with "!", id 0.
    sd2 = out / "tokenizer_sd2"
    write_vocabulary(sd2, merges)
    write_json(sd2 / "tokenizer_config.json", config)
    write_json(sd2 / "special_tokens_map.json", {**special, "pad_token": "!"})

    # Models saved since 2023: special tokens with their ids, and a shorter length.
    decoder = out / "tokenizer_decoder"
    write_vocabulary(decoder, merges)
    last = 512 + MERGES
    numbered = {
        "0": {**added("!"), "normalized": False, "special": True},
        str(last): {**added(BOS), "normalized": True, "special": True},
        str(last + 1): {**added(EOS), "normalized": False, "special": True},
    }
    config = {
        "add_prefix_space": False,
        "added_tokens_decoder": numbered,
        "bos_token": BOS,
        "clean_up_tokenization_spaces": True,
        "do_lower_case": True,
        "eos_token": EOS,
        "errors": "replace",
        "model_max_length": 24,
        "pad_token": "!",
        "tokenizer_class": "CLIPTokenizer",
        "unk_token": EOS,
    }
    write_json(decoder / "tokenizer_config.json", config)

    # As transformers 5 saves it: tokenizer.json.
    CLIPTokenizer.from_pretrained(sd1).save_pretrained(out / "tokenizer_json")
    return [sd1, sd2, decoder, out / "tokenizer_json"]


def tokenize(tokenizer, text):
    """What diffusers' `encode_prompt` does with a tokenizer."""
    longest = tokenizer.model_max_length
    padded = tokenizer(text, padding="max_length", max_length=longest, truncation=True, return_tensors="pt")
    whole = tokenizer(text, padding="longest", return_tensors="pt").input_ids
    used = int(padded.attention_mask.sum())
    ids = padded.input_ids[0].tolist()
    assert ids[used:] == [tokenizer.pad_token_id] * (longest - used)
    lost = None
    if whole.shape[-1] >= longest and not torch.equal(padded.input_ids, whole):
        lost = tokenizer.batch_decode(whole[:, longest - 1 : -1])[0]
    return {"ids": ids[:used], "tokens": whole.shape[-1], "truncated": lost}


def write_tokenizer_cases(out):
    loaded = {folder.name: CLIPTokenizer.from_pretrained(folder) for folder in write_tokenizers(out)}
    folders = {
        name: {"model_max_length": t.model_max_length, "pad_id": t.pad_token_id} for name, t in loaded.items()
    }
    cases = [
        {"text": text, "folders": {name: tokenize(t, text) for name, t in loaded.items()}} for text in TEXTS
    ]
    rows = ",\n".join(json.dumps(case) for case in cases)
    text = f'{{"folders": {json.dumps(folders)},\n"cases": [\n{rows}\n]}}\n'
    (out / "tokenizer_cases.json").write_text(text, encoding="utf-8")


def randomise(model, seed):
    """Random values everywhere: fresh models have biases of 0 and norms of 1, which hide mistakes."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            if name != "logit_scale":
                p.add_(torch.randn(p.shape, generator=generator) * 0.1)
    return model.eval()


def random_ids(seed, batch, length, vocab, bos, eos, pad):
    """Rows of different lengths: begin, words, end, padding."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, vocab - 2, (batch, length), generator=generator)  # special ids lie outside
    ids[:, 0] = bos
    for row in range(batch):
        end = length - 1 - row * (length // (batch + 1))
        ids[row, end] = eos
        ids[row, end + 1 :] = pad
    return ids


def text_outputs(model, ids, skips):
    """`{name: tensor}`; `clip_skip` as in diffusers' `encode_prompt`."""
    outputs = model(ids, output_hidden_states=True)
    tensors = {"ids": ids, "hidden": outputs.last_hidden_state, "pooled": outputs.pooler_output}
    for skip in skips:
        tensors[f"skip{skip}"] = model.final_layer_norm(outputs.hidden_states[-(skip + 1)])
    return tensors


def sd1_text(out):
    """quick_gelu, the old token ids, tensors below `text_model.` beside a constant, as in published checkpoints."""
    config = CLIPTextConfig(
        hidden_size=32, intermediate_size=37, num_attention_heads=4, num_hidden_layers=5, vocab_size=1000,
        bos_token_id=0, eos_token_id=2, pad_token_id=1,
    )  # fmt: skip
    torch.manual_seed(0)
    model = randomise(CLIPTextModel(config), 1)
    folder = out / "clip_text_sd1"
    model.save_pretrained(folder)
    tensors = {f"text_model.{k}": v for k, v in load_file(folder / "model.safetensors").items()}
    tensors["text_model.embeddings.position_ids"] = torch.arange(77).unsqueeze(0)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    whole = text_outputs(model, random_ids(2, 2, 77, 1000, 0, 999, 999), [1, 2, 5])
    short = text_outputs(model, random_ids(3, 2, 9, 1000, 0, 999, 1), [])
    return {f"sd1.{k}": v for k, v in whole.items()} | {f"sd1_short.{k}": v for k, v in short.items()}


def sd2_text(out):
    """gelu, stored in float16 as the variant `fp16`, tensors without a prefix, as transformers 5 saves them."""
    config = CLIPTextConfig(
        hidden_size=32, intermediate_size=37, num_attention_heads=2, num_hidden_layers=3, vocab_size=300,
        bos_token_id=298, eos_token_id=299, pad_token_id=0, hidden_act="gelu", max_position_embeddings=24,
    )  # fmt: skip
    torch.manual_seed(10)
    model = randomise(CLIPTextModel(config), 11).half()
    model.save_pretrained(out / "clip_text_sd2", variant="fp16")
    ids = random_ids(12, 2, 24, 300, 298, 299, 0)
    return {f"sd2.{k}": v for k, v in text_outputs(model.float(), ids, [1]).items()}


def projected_text(out):
    config = CLIPTextConfig(
        hidden_size=16, intermediate_size=20, num_attention_heads=2, num_hidden_layers=2, vocab_size=60,
        bos_token_id=58, eos_token_id=59, pad_token_id=59, projection_dim=12, max_position_embeddings=16,
    )  # fmt: skip
    torch.manual_seed(20)
    model = randomise(CLIPTextModelWithProjection(config), 21)
    model.save_pretrained(out / "clip_text_projection")
    ids = random_ids(22, 2, 16, 60, 58, 59, 59)
    return {"projection.ids": ids, "projection.text_embeds": model(ids).text_embeds}


def dual(out):
    """The last pixels of each side lie in no patch: 30 = 3 · 8 + 6."""
    text = {
        "hidden_size": 16, "intermediate_size": 37, "num_attention_heads": 4, "num_hidden_layers": 3,
        "vocab_size": 120, "bos_token_id": 118, "eos_token_id": 119, "pad_token_id": 119,
        "max_position_embeddings": 20,
    }  # fmt: skip
    vision = {
        "hidden_size": 24, "intermediate_size": 30, "num_attention_heads": 3, "num_hidden_layers": 2,
        "image_size": 30, "patch_size": 8, "hidden_act": "gelu",
    }  # fmt: skip
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=20)
    torch.manual_seed(30)
    model = randomise(CLIPModel(config), 31)
    model.save_pretrained(out / "clip_dual")
    ids = random_ids(32, 3, 20, 120, 118, 119, 119)
    pixels = torch.randn(2, 3, 30, 30, generator=torch.Generator().manual_seed(33))
    outputs = model(input_ids=ids, pixel_values=pixels)
    return {
        "dual.ids": ids,
        "dual.pixels": pixels,
        "dual.image_features": model.get_image_features(pixels).pooler_output,
        "dual.text_features": model.get_text_features(ids).pooler_output,
        "dual.cosine": outputs.image_embeds @ outputs.text_embeds.T,
        "dual.logits_per_image": outputs.logits_per_image,
    }


@torch.no_grad()
def write_models(out):
    tensors = sd1_text(out) | sd2_text(out) | projected_text(out) | dual(out)
    save_file({k: v.contiguous() for k, v in tensors.items()}, out / "clip.safetensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        write_models(scratch)
        write_tokenizer_cases(scratch)
        shutil.copytree(scratch, out, dirs_exist_ok=True)


if __name__ == "__main__":
    main()
