"""Text encoders behind one small interface, and the embedder that prompts and caches them."""

from trainer.modeling.text_encoders.embedder import TextEmbedder
from trainer.modeling.text_encoders.encoder import TextEncoder
from trainer.modeling.text_encoders.minilm import MiniLMEncoder
from trainer.modeling.text_encoders.openclip import OpenClipEncoder
from trainer.modeling.text_encoders.table import TableEncoder

__all__ = ["MiniLMEncoder", "OpenClipEncoder", "TableEncoder", "TextEmbedder", "TextEncoder"]
