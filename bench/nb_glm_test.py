"""Runs crispyx's negative binomial test on a screen that bench/screen-crispyx.R or
bench/screen-power.R wrote, and writes what it found for R to read.

    python nb_glm_test.py FOLDER SETTINGS

FOLDER holds screen.json and the counts (p, i, x: a sparse matrix of genes x cells
by columns), cells.csv and genes.txt. SETTINGS is a JSON object: name, covariates,
min_mu, rounds. Seconds of each round after the first, in which code is compiled,
go to NAME.json; groups and arrays of groups x genes (doubles, natural logarithms)
to NAME.*.
"""

import json
import sys
import time
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from crispyx.de import nb_glm_test
from scipy import sparse


def main(folder, settings):
    screen = write_h5ad(folder)
    size_factors = pd.read_csv(folder / "cells.csv")["Size_Factor"].to_numpy()
    output = folder / f"{settings['name']}.h5ad"
    seconds = []
    for _ in range(1 + settings["rounds"]):
        start = time.perf_counter()
        nb_glm_test(
            screen,
            perturbation_column="perturbation",
            control_label="control",
            covariates=settings["covariates"] or None,
            size_factors=size_factors,
            min_mu=settings["min_mu"],
            lfc_base="ln",
            n_jobs=2,
            verbose=False,
            force=True,
            output_path=output,
        )
        seconds.append(time.perf_counter() - start)
    write_for_r(anndata.read_h5ad(output), folder, settings["name"])
    timing = {"first": seconds[0], "seconds": seconds[1:]}
    (folder / f"{settings['name']}.json").write_text(json.dumps(timing))


def write_h5ad(folder):
    """The path of the screen, written if it is not there."""
    path = folder / "screen.h5ad"
    if not path.exists():
        shape = json.loads((folder / "screen.json").read_text())
        arrays = (
            np.fromfile(folder / "x", np.float64),
            np.fromfile(folder / "i", np.int32),
            np.fromfile(folder / "p", np.int32),
        )
        cells = pd.read_csv(folder / "cells.csv", index_col=0)
        genes = pd.DataFrame(index=(folder / "genes.txt").read_text().split())
        # Columns of genes x cells are rows of cells x genes.
        counts = sparse.csr_matrix(arrays, shape=(shape["cells"], shape["genes"]))
        anndata.AnnData(counts, obs=cells, var=genes).write_h5ad(path)
    return path


def write_for_r(result, folder, name):
    def write(what, values):
        np.ascontiguousarray(values, dtype=np.float64).tofile(folder / f"{name}.{what}")

    write("estimate", result.X)
    write("std_err", result.layers["standard_error"])
    write("p_value", result.layers["pvalue"])
    # One dispersion a gene, unless each comparison has its own.
    if "dispersion" in result.layers:
        dispersion = result.layers["dispersion"]
    else:
        dispersion = np.broadcast_to(result.var["dispersion"].to_numpy(), result.shape)
    write("dispersion", dispersion)
    (folder / f"{name}.groups").write_text("\n".join(result.obs_names))


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
