"""What bench/groups.R times beside test_groups(): illico's Wilcoxon, of data that were
read before, crispyx's t test and Wilcoxon, and the Anderson-Darling test of pdex 0.1, on an .h5ad file.

    python groups.py write FOLDER         make counts.h5ad and lognorm.h5ad of p, i, x
    python groups.py illico FILE VALUES ROUNDS
    python groups.py crispyx FILE TEST ROUNDS
    python groups.py pdex FILE GENES GROUPS

Prints the seconds of each round after the first, in which code is compiled, and the
highest resident memory in MB.
"""

import resource
import sys
import tempfile
import time
from functools import partial
from pathlib import Path


def write(folder):
    import anndata
    import numpy as np
    import pandas as pd
    from scipy import sparse

    folder = Path(folder)
    cells = pd.read_csv(folder / "cells.csv", index_col=0)
    cells["perturbation"] = cells["perturbation"].astype("category")
    genes = pd.DataFrame(index=(folder / "genes.txt").read_text().split())
    read = lambda name, kind: np.fromfile(folder / name, kind)
    values = read("x", np.float64).astype(np.float32)
    indptr = read("p", np.int32)
    counts = sparse.csr_matrix(
        (values, read("i", np.int32), indptr), shape=(len(cells), len(genes))
    )
    anndata.AnnData(counts, obs=cells, var=genes).write_h5ad(folder / "counts.h5ad")
    totals = np.repeat(np.asarray(counts.sum(1)).ravel(), np.diff(indptr))
    counts.data = np.log1p(counts.data / totals * 1e4).astype(np.float32)
    anndata.AnnData(counts, obs=cells, var=genes).write_h5ad(folder / "lognorm.h5ad")


def illico(file, values, rounds):
    import anndata
    from illico import asymptotic_wilcoxon

    data = anndata.read_h5ad(file)
    return timed(
        lambda: asymptotic_wilcoxon(
            data,
            is_log1p=values == "lognorm",
            group_keys="perturbation",
            reference="control",
            n_threads=2,
        ),
        int(rounds),
    )


def crispyx(file, test, rounds):
    from crispyx.de import t_test, wilcoxon_test

    output = Path(tempfile.mkdtemp()) / "found.h5ad"
    # The latter takes the number of threads from numba.
    run = partial(t_test, n_jobs=2) if test == "t" else wilcoxon_test
    return timed(
        lambda: run(
            file,
            perturbation_column="perturbation",
            control_label="control",
            verbose=False,
            force=True,
            output_path=output,
        ),
        int(rounds),
    )


def pdex(file, genes, groups):
    import anndata
    from pdex import parallel_differential_expression

    data = anndata.read_h5ad(file)
    kept = ["control", *sorted(set(data.obs["perturbation"]) - {"control"})[: int(groups)]]
    data = data[data.obs["perturbation"].isin(kept)].copy()
    # Slices of sparse matrices of this anndata fail with scipy of today.
    data.X = data.X.toarray()
    data = data[:, :: data.n_vars // int(genes)][:, : int(genes)].copy()
    data.obs["perturbation"] = data.obs["perturbation"].cat.remove_unused_categories()
    start = time.perf_counter()
    parallel_differential_expression(
        data,
        reference="control",
        groupby_key="perturbation",
        metric="anderson",
        num_workers=2,
        is_log1p=True,
    )
    return [time.perf_counter() - start]


def timed(job, rounds):
    seconds = []
    for _ in range(1 + rounds):
        start = time.perf_counter()
        job()
        seconds.append(time.perf_counter() - start)
    return seconds[1:]


if __name__ == "__main__":
    found = globals()[sys.argv[1]](*sys.argv[2:])
    if found:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print("RESULT", *found, peak)
