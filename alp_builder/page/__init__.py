"""A page to look at ALPs with: one HTML file that needs no network and no server.

    from alp_builder.page import PageRequest, write_page
    write_page(PageRequest(alps=Path("data/alps"), images=["photos"]), Path("page.html"))

Data go through four steps: `choose` takes narratives out of shards, `traces` and `things` add what other files
know of them, `pictures` finds and bounds their images, and `html` puts all of it into the one file. Nothing
here trusts what it reads: captions, names, ids, sizes and images come from data that anybody may have written.

It imports neither spaCy nor torch, so that both sides of the toolkit may draw pages, and find the images of
narratives by one rule (`alp_builder.image_names`, `image_files`).
"""

from alp_builder.image_names import OddEndings, is_safe_name, split_ending
from alp_builder.page.config import PageConfig, PageRequest
from alp_builder.page.image_files import bare_names, file_names
from alp_builder.page.write import PageSummary, write_page

__all__ = [
    "OddEndings",
    "PageConfig",
    "PageRequest",
    "PageSummary",
    "bare_names",
    "file_names",
    "is_safe_name",
    "split_ending",
    "write_page",
]
