"""ALPs, or a selection of them, in the formats of other tools: COCO JSON, FiftyOne, Hugging Face, or again shards.

An export appears whole or not at all, and what it leaves out is counted. Image sizes are not in the shards;
where a format wants pixels they come from a COCO file or from the images themselves.
"""

from alp_builder.export.export import FORMATS, ExportSummary, export
from alp_builder.export.pictures import Pictures
from alp_builder.export.selection import Selection

__all__ = ["FORMATS", "ExportSummary", "Pictures", "Selection", "export"]
