"""Fits statsmodels' negative binomial to genes that bench/fit-models.R wrote, and writes
seconds and log-likelihoods for R to read.

    python nb_statsmodels.py FOLDER METHOD ROUNDS

FOLDER holds shape.json (cells, columns, genes), and as doubles x (the model matrix, cells x
columns, by columns) and y (counts divided by size factors and rounded, cells x genes, by
columns). METHOD is "nb2" (the negative binomial) or "geometric" (that with theta = 1). What
is timed, the fastest of ROUNDS, is the model and its fit(), with its defaults.
"""

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from statsmodels.discrete.discrete_model import NegativeBinomial


def main(folder, method, rounds):
    warnings.simplefilter("ignore")
    shape = json.loads((folder / "shape.json").read_text())
    x = np.fromfile(folder / "x").reshape(shape["columns"], shape["cells"]).T.copy()
    y = np.fromfile(folder / "y").reshape(shape["genes"], shape["cells"])
    results = [fit(x, gene, method, rounds) for gene in y]
    (folder / f"{method}.json").write_text(json.dumps(results))


def fit(x, y, method, rounds):
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        model = NegativeBinomial(y, x, loglike_method=method)
        result = model.fit(disp=False, warn_convergence=False)
        seconds.append(time.perf_counter() - start)
    return {"seconds": min(seconds), "log_likelihood": float(result.llf)}


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
