"""Text encoders by name.

`text.name=open_clip text.encoders.open_clip.pretrained=/path/open_clip_model.safetensors` selects another one;
`minilm` needs nothing but PyPI. `text.dim` follows from the encoder and is set when the model is built.
"""

from detectron2.config import LazyCall as L

from trainer.modeling.text_encoders import MiniLMEncoder, OpenClipEncoder, TableEncoder

text = dict(
    name="minilm",
    dim=384,
    cache_dir="data/text_vectors",
    encoders=dict(
        minilm=L(MiniLMEncoder)(folder=None),
        open_clip=L(OpenClipEncoder)(
            model="ViT-B-32-quickgelu", pretrained="openai", device="cpu", quick_gelu=None
        ),
        # Detic's table of Open Images has two rows "Mouse": the animal's, and the computer's.
        table=L(TableEncoder)(
            vectors="vectors.npy", names="names.csv", aliases={"Computer mouse": "Mouse"}
        ),
    ),
)
