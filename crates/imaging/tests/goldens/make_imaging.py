"""Goldens for retouch-imaging, made with Pillow, diffusers and transformers.

    python make_imaging.py --out DIR

Writes resize.safetensors, decode.safetensors and inputs.safetensors. The same library versions give the same
bytes: Pillow 13.0, numpy 2.4, diffusers 0.42.1, transformers 5.23, torch 2.11.
"""

import argparse
import io
import json
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo
from safetensors.numpy import save_file
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

FILTERS = {"bicubic": Image.Resampling.BICUBIC, "lanczos": Image.Resampling.LANCZOS}


def noise(width, height, seed):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def photo(width, height, seed=5):
    """Smooth areas, hard edges and a little grain, as photographs have."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    x, y = x / width, y / height
    planes = [127 + 120 * np.sin(5 * x + 2 * y), 255 * (x + y) / 2, 127 + 120 * np.cos(7 * x * y)]
    image = np.stack(planes, axis=-1)
    image[((x - 0.6) ** 2 + (y - 0.4) ** 2) < 0.04] = (250, 20, 30)
    image += np.random.default_rng(seed).normal(0, 3, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def save(path, tensors, metadata):
    tensors = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    save_file(tensors, path, metadata={"cases": json.dumps(metadata, sort_keys=True)})


def make_resize(out):
    sources = {
        "noise": noise(37, 29, 1),
        "photo": photo(45, 35),
        "binary": (noise(23, 31, 2) > 127).astype(np.uint8) * 255,
        "row": noise(57, 1, 3),
        "column": noise(1, 57, 4),
        "pixel": noise(1, 1, 5),
    }
    whole = None
    cases = [
        ("noise", 37, 29, whole), ("noise", 36, 29, whole), ("noise", 37, 20, whole), ("noise", 18, 14, whole),
        ("noise", 7, 5, whole), ("noise", 1, 1, whole), ("noise", 50, 31, whole), ("noise", 17, 41, whole),
        ("noise", 21, 13, (3.3, 2.7, 33.9, 24.1)), ("noise", 20, 20, (10.0, 3.0, 30.0, 23.0)),
        ("noise", 14, 24, (0.5, 0.0, 36.5, 29.0)), ("noise", 19, 13, (20.25, 20.5, 20.75, 21.0)),
        ("noise", 37, 12, (0.0, 5.0, 37.0, 24.5)), ("photo", 32, 24, whole), ("photo", 9, 35, whole),
        ("photo", 24, 24, (5.0, 0.0, 40.0, 35.0)), ("photo", 36, 35, whole), ("photo", 60, 21, whole),
        ("binary", 30, 21, whole), ("binary", 9, 40, whole), ("binary", 33, 7, (0.1, 0.1, 22.9, 30.9)),
        ("row", 20, 4, whole), ("row", 100, 1, whole), ("column", 3, 20, whole), ("pixel", 6, 5, whole),
    ]
    tensors = {f"source/{name}": image for name, image in sources.items()}
    listed = []
    for number, (name, width, height, box) in enumerate(cases):
        for filter_name, resample in FILTERS.items():
            image = Image.fromarray(sources[name])
            key = f"result/{number:02}_{filter_name}"
            tensors[key] = np.asarray(image.resize((width, height), resample, box=box))
            listed.append({"result": key, "source": f"source/{name}", "filter": filter_name, "box": box})
    save(out / "resize.safetensors", tensors, listed)


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def raw_png(width, height, depth, color, rows, interlace=0, extra=b""):
    """A PNG file of a kind that Pillow does not write."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlace)
    body = png_chunk(b"IHDR", header) + extra + png_chunk(b"IDAT", zlib.compress(rows, 9)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def adam7(image):
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    parts = [image[y::dy, x::dx] for x, y, dx, dy in passes]
    return b"".join(b"\0" + row.tobytes() for part in parts if part.size for row in part)


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif_with(orientation=None, comment=None, endian=">"):
    exif = Image.Exif()
    exif.endian = endian
    if orientation is not None:
        exif[0x0112] = orientation
    if comment is not None:
        exif.get_ifd(0x8769)[0x9286] = comment
    return exif


def png_files():
    rgb = photo(21, 13)
    image = Image.fromarray(rgb)
    alpha = noise(21, 13, 6)[..., 0]
    rgba = Image.fromarray(np.dstack([rgb, np.where(alpha < 90, 0, alpha)]))
    grey = Image.fromarray(rgb[..., 1])
    palette = image.quantize(17, method=Image.Quantize.MEDIANCUT)
    frames = [Image.fromarray(noise(21, 13, seed)) for seed in (7, 8)]
    wide = np.random.default_rng(9).integers(0, 65536, (13, 21, 3)).astype(">u2")
    rows = lambda samples: b"".join(b"\0" + row.tobytes() for row in samples)
    info = PngInfo()
    info.add_text("parameters", "plain text")
    late_exif = png_chunk(b"eXIf", exif_with(6).tobytes()[6:])
    early = encoded(image, "PNG")
    return {
        "rgb.png": early,
        "rgba.png": encoded(rgba, "PNG"),
        "la.png": encoded(rgba.convert("LA"), "PNG"),
        "grey.png": encoded(grey, "PNG"),
        "one_bit.png": encoded(grey.convert("1"), "PNG"),
        "palette.png": encoded(palette, "PNG"),
        "palette_transparent.png": encoded(palette, "PNG", transparency=3),
        "rgb_transparent.png": encoded(image, "PNG", transparency=tuple(int(v) for v in rgb[0, 0])),
        "grey16.png": raw_png(21, 13, 16, 0, rows(wide[..., 0])),
        "rgb16.png": raw_png(21, 13, 16, 2, rows(wide)),
        "interlaced.png": raw_png(21, 13, 8, 2, adam7(rgb), interlace=1),
        "animated.png": encoded(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=50),
        "parameters.png": encoded(image, "PNG", pnginfo=info),
        "exif_after_data.png": early[:-12] + late_exif + early[-12:],
        **{f"orientation_{n}.png": encoded(image, "PNG", exif=exif_with(n)) for n in range(1, 9)},
    }


def jpeg_files():
    rgb = photo(37, 27)
    image = Image.fromarray(rgb)
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="8"/></x:xmpmeta>'
    note = "ghi chú tiếng Việt"
    big = exif_with(comment=b"UNICODE\0" + note.encode("utf-16-be"))
    little = exif_with(8, comment=b"UNICODE\0" + note.encode("utf-16-le"), endian="<")
    return {
        "full_colour.jpg": encoded(image, "JPEG", quality=92, subsampling=0),
        "half_colour.jpg": encoded(image, "JPEG", quality=80, subsampling=2),
        "noise.jpg": encoded(Image.fromarray(noise(37, 27, 10)), "JPEG", quality=90, subsampling=2),
        "progressive.jpg": encoded(image, "JPEG", quality=85, progressive=True),
        "grey.jpg": encoded(image.convert("L"), "JPEG", quality=90),
        "cmyk.jpg": encoded(image.convert("CMYK"), "JPEG", quality=95),
        "orientation_6.jpg": encoded(image, "JPEG", quality=90, exif=exif_with(6)),
        "xmp_orientation.jpg": encoded(image, "JPEG", quality=90, xmp=xmp),
        "comment.jpg": encoded(image, "JPEG", quality=90, exif=big),
        "comment_little_endian.jpg": encoded(image, "JPEG", quality=90, exif=little),
    }


def webp_files():
    rgb = photo(37, 27)
    image = Image.fromarray(rgb)
    alpha = noise(37, 27, 11)[..., 0]
    rgba = Image.fromarray(np.dstack([rgb, np.where(alpha < 90, 0, alpha)]))
    frames = [Image.fromarray(noise(20, 14, seed)) for seed in (12, 13)]
    comment = b"ASCII\0\0\0" + b'{"seed": 3}'
    return {
        "lossy.webp": encoded(image, "WEBP", quality=80),
        "lossless.webp": encoded(image, "WEBP", lossless=True),
        "lossy_alpha.webp": encoded(rgba, "WEBP", quality=80, exact=True),
        "lossless_alpha.webp": encoded(rgba, "WEBP", lossless=True, exact=True),
        "animated.webp": encoded(frames[0], "WEBP", lossless=True, save_all=True, append_images=frames[1:]),
        "animated_lossy.webp": encoded(frames[0], "WEBP", quality=70, save_all=True, append_images=frames[1:]),
        "orientation_5.webp": encoded(image, "WEBP", lossless=True, exif=exif_with(5)),
        "comment.webp": encoded(image, "WEBP", quality=60, exif=exif_with(comment=comment)),
    }


def scaled_16_bit(data):
    """16-bit samples as this project reads them (Pillow keeps the high byte, or clips)."""
    start = data.index(b"IDAT")
    (length,) = struct.unpack(">I", data[start - 4 : start])
    color = data[25]
    rows = np.frombuffer(zlib.decompress(data[start + 4 : start + 4 + length]), np.uint8).reshape(13, -1)[:, 1:]
    wide = np.ascontiguousarray(rows).view(">u2").astype(np.float64).reshape(13, 21, 3 if color == 2 else 1)
    return np.broadcast_to(np.round(wide / 257).astype(np.uint8), (13, 21, 3))


def make_decode(out):
    tensors, listed = {}, []
    for name, data in {**png_files(), **jpeg_files(), **webp_files()}.items():
        image = Image.open(io.BytesIO(data))
        stored, has_alpha = image.size, image.has_transparency_data
        tensors[f"file/{name}"] = np.frombuffer(data, np.uint8)
        if name.endswith("16.png"):
            tensors[f"rgb/{name}"] = scaled_16_bit(data)
        else:
            tensors[f"rgb/{name}"] = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        listed.append({"name": name, "stored": stored, "alpha": has_alpha})
    save(out / "decode.safetensors", tensors, listed)


def original_size(width, height, resolution):
    """The arithmetic of edit_cli.py of InstructPix2Pix."""
    factor = resolution / max(width, height)
    factor = math.ceil(min(width, height) * factor / 64) * 64 / min(width, height)
    return int((width * factor) // 64) * 64, int((height * factor) // 64) * 64


def sizing(tensors):
    """Sizes for both rules, and the images for some."""
    rng = np.random.default_rng(14)
    sizes = [(1, 1), (7, 300), (64, 64), (512, 512), (768, 511), (1000, 1499), (4032, 3024), (98, 1470)]
    sizes += [tuple(int(v) for v in pair) for pair in rng.integers(8, 3000, (40, 2))]
    table = []
    for width, height in sizes:
        for factor in (4, 8, 16):
            processor = VaeImageProcessor(vae_scale_factor=factor)
            blank = Image.new("L", (width, height))
            to_height, to_width = processor.get_default_height_width(blank)
            table.append(["diffusers", width, height, factor, to_width, to_height])
        for resolution in (256, 512, 700):
            table.append(["original", width, height, resolution, *original_size(width, height, resolution)])
    source = photo(61, 45)
    tensors["sizing/source"] = source
    for factor in (8, 32):
        image = VaeImageProcessor(vae_scale_factor=factor).preprocess(Image.fromarray(source))
        tensors[f"sizing/diffusers_{factor}"] = image[0].numpy()
    exact = VaeImageProcessor(vae_scale_factor=8).preprocess(Image.fromarray(source), height=16, width=40)
    tensors["sizing/exact_40x16"] = exact[0].numpy()
    for name, image in [("original_64", source), ("original_tall_64", photo(40, 91))]:
        size = original_size(image.shape[1], image.shape[0], 64)
        fitted = ImageOps.fit(Image.fromarray(image), size, method=Image.Resampling.LANCZOS)
        tensors[f"sizing/{name}"] = np.asarray(fitted)
    tensors["sizing/source_tall"] = photo(40, 91)
    return table


def postprocess(tensors):
    """All the ties of k + 1/2, values around them, and values outside the range."""
    ties = (np.arange(255, dtype=np.float32) + np.float32(0.5)) / np.float32(255)
    around = np.concatenate([ties, np.nextafter(ties, np.float32(0)), np.nextafter(ties, np.float32(1))])
    values = np.concatenate([around, np.array([0, 1, 0.25], np.float32)])
    values = values.reshape(3, 16, 16)
    tensors["unit/planes"] = values
    image = VaeImageProcessor.pt_to_numpy(torch.from_numpy(values)[None])
    tensors["unit/pixels"] = np.asarray(VaeImageProcessor.numpy_to_pil(image)[0])


def clip(tensors):
    """Every value at small sizes; each 17th pixel at the usual size."""
    defaults = CLIPImageProcessorPil().to_dict()
    odd = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.25], "rescale_factor": 0.005}
    cases = [
        ("photo", {**defaults, "size": {"shortest_edge": 24}, "crop_size": {"height": 24, "width": 24}}, 1),
        ("photo", {"size": 20, "crop_size": 15, "resample": 3, "feature_extractor_type": "CLIPFeatureExtractor"}, 1),
        ("tall", {"size": {"shortest_edge": 11}, "crop_size": {"height": 20, "width": 16}, **odd}, 1),
        ("photo", {"size": {"height": 13, "width": 30}, "crop_size": {"height": 18, "width": 19}, "resample": 1}, 1),
        ("photo", {"size": 20, "crop_size": 16, "do_normalize": False}, 1),
        ("photo", {"size": 20, "crop_size": 16, "do_rescale": False}, 1),
        ("photo", defaults, 17),
        ("tall", defaults, 17),
    ]
    tensors["clip/photo"] = photo(60, 44)
    tensors["clip/tall"] = noise(17, 64, 15)
    listed = []
    for number, (source, config, step) in enumerate(cases):
        processor = CLIPImageProcessorPil(**config)
        values = processor(Image.fromarray(tensors[f"clip/{source}"]), return_tensors="np")["pixel_values"][0]
        tensors[f"clip/{number}"] = values.astype(np.float32)[:, ::step, ::step]
        listed.append({"source": f"clip/{source}", "config": config, "result": f"clip/{number}", "step": step})
    return listed


def make_inputs(out):
    tensors = {}
    metadata = {"sizes": sizing(tensors), "clip": clip(tensors)}
    postprocess(tensors)
    save(out / "inputs.safetensors", tensors, metadata)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    make_resize(out)
    make_decode(out)
    make_inputs(out)


if __name__ == "__main__":
    main()
