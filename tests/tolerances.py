"""How far results may be from their reference: the one table of tolerances, name -> (value, reason)."""

from __future__ import annotations

TOLERANCES: dict[str, tuple[float, str]] = {
    "engine fp32, one convolution": (
        2e-6,
        "float32 rounding of 27 products of magnitude about 1, summed in another order",
    ),
    "engine bf16, one convolution": (2e-2, "8 significant bits in inputs, weights and output of magnitude up to 4"),
    "retinaface raw, torch fp32": (1e-5, "of the largest magnitude; the official code differs by 2e-5 from itself"),
    "retinaface raw, engine fp32": (2e-4, "of the largest magnitude; fused kernels sum in another order"),
    "retinaface raw, resized photo": (2e-4, "as the engine; resizing differs by rounding of float32 weights only"),
    "retinaface priors": (1e-7, "normalised; one rounding to float32"),
    "retinaface decode": (1e-6, "of the largest magnitude; float32 exp in another library"),
    "retinaface detections, px": (1e-3, "decode of saved raw outputs, on pictures of up to 1000 px"),
    "retinaface photos, px": (0.02, "end to end in fp32, on pictures of up to 1000 px"),
    "retinaface photos, score": (1e-4, "end to end in fp32; probabilities"),
    "decoded colour patch, 8 bit": (2.0, "rounding of Y, U, V to whole codes of limited range, then of RGB"),
    "decoded colour patch, 10 bit": (1.0, "rounding of Y, U, V to whole 10 bit codes, then of RGB to 8 bits"),
    "decoded colour patch, JPEG": (6.0, "quantisation of JPEG at its best quality"),
    "parity, torch fp32": (2e-5, "of the largest magnitude; other versions and processors sum in another order"),
    "parity, engine fp32": (1e-4, "of the largest magnitude; fused kernels sum in another order"),
    "to_rgb, 8 bit": (1.0, "float32 rather than float64 just before rounding to whole codes"),
    "preprocess, of the range": (2e-6, "float32 blends and matrix against float64; of the largest magnitude"),
    "preprocess against OpenCV, of the range": (2e-6, "the same weights, float32 sums in another order"),
    "SSD decode": (0.0, "the same operations in the same order; the exponential is rounded from float64 in both"),
    "drawing, 8 bit": (1.0, "colours and disc coverage rounded from float32 or float64 sums in another order"),
    "detections from saved raw outputs, px": (1e-3, "float32 decode on pictures of up to 1000 px"),
    "retinaface faces in video": (0.02, "of the count; scores near the threshold move with resizing and precision"),
    "retinaface box in bf16": (0.03, "of the longer side; 8 significant bits in every layer"),
    "retinaface score in bf16": (0.05, "probability; 8 significant bits in every layer"),
    "encoded colour patch": (3.0, "x264 at the rate factor of outputs, on flat patches; 8 bit"),
    "encoded picture, mean": (8.0, "x264 on small pictures of hard edges, of which 4:2:0 blurs the colours; 8 bit"),
    "drawn in another chroma format, mean": (1.5, "chroma along the lines of a box and a label, of all pixels; 8 bit"),
    "drawn from results, share of values": (5e-3, "boxes rounded to 0.001 px round to other pixels now and then"),
    "memory, median growth in 100 frames, KiB": (
        32.0,
        "0.3 kB a frame: the index of an MP4 takes a third of it; one small frame in a hundred that is kept is 112",
    ),
    "memory, slope, KiB per 1000 frames": (
        8192.0,
        "steps of 2 to 6 MB when more is in flight than ever before, as on a busy machine, spread over 1500 frames",
    ),
    "faces in the clip, of the official count": (0.02, "resizing in another library; bf16; faces close to the score"),
}
