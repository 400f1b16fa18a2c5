"""The paper's table in miniature, and its ablations: `make table`, `make table-quick`, `make ablations`.

The modules, in the order of use: `plan` (what is run), `data` (the world it is run on), `pretrain` (the
backbone all rows of a seed share), `job` (one run, in a process of its own), `run` (all of them, some at
a time, resumed where they stopped), `summary` (means and intervals), `report` (table, picture),
`qualitative` (pictures by rule) and `ablations` (one factor at a time).
"""
