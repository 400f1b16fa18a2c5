"""What is wrong with an image file, told from its bytes before anything is decoded.

OpenCV makes grey pixels of what is missing of a file that was cut short, and says nothing that a program could
hear; and it takes the memory an image's header asks for. So the end of a file is looked for first, and its size.

* JPEG: inside the coded data no byte ff is followed by another byte than 00 or a restart mark (ITU T.81, B.1.1.2),
  so the mark of the end stands after the last start of a scan exactly if nothing is missing.
* PNG ends in the chunk `IEND`; WebP and BMP name their own length.
"""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from trainer.data.cocofile import MAX_PIXELS

_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"


def file_problem(data: bytes) -> str:
    """Why an image is not decoded, an empty string if nothing speaks against it.

    Args:
        data: The whole file.
    """
    if not data:
        return "an empty file, not an image"
    if is_cut_short(data):
        return "an image file cut short; copy or download it again"
    try:
        with Image.open(BytesIO(data)) as image:
            width, height = image.size
    except Image.DecompressionBombError:
        return f"an image of more than {MAX_PIXELS:,} pixels"
    except Exception:  # noqa: BLE001 - Pillow raises what it meets; OpenCV knows more formats
        return ""
    return (
        f"an image of {width} x {height}, more than {MAX_PIXELS:,} pixels"
        if width * height > MAX_PIXELS
        else ""
    )


def is_cut_short(data: bytes) -> bool:
    """Whether the end of a JPEG, PNG, WebP or BMP is missing; other formats are left to the decoder."""
    if data.startswith(b"\xff\xd8"):
        return data.rfind(_END_OF_IMAGE) < data.rfind(_START_OF_SCAN)
    if data.startswith(b"\x89PNG"):
        return b"IEND" not in data[-64:] and b"IEND" not in data
    if data.startswith(b"RIFF"):
        return len(data) < 8 + int.from_bytes(data[4:8], "little")
    if data.startswith(b"BM"):
        return len(data) < int.from_bytes(data[2:6], "little")
    return False
