"""A page to look at ALPs with: one HTML file that needs no network and no server.

    from alp_builder.page import PageRequest, write_page
    write_page(PageRequest(alps=Path("data/alps"), images=["photos"]), Path("page.html"))

Data go through four steps: `choose` takes narratives out of shards, `traces` and `things` add what other files
know of them, `pictures` finds and bounds their images, and `html` puts all of it into the one file. Nothing
here trusts what it reads: captions, names, ids, sizes and images come from data that anybody may have written.

It imports neither spaCy nor torch, so that both sides of the toolkit may draw pages.
"""

from alp_builder.page.config import PageConfig, PageRequest
from alp_builder.page.write import PageSummary, write_page

__all__ = ["PageConfig", "PageRequest", "PageSummary", "write_page"]
