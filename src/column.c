/* Columns of results that stay where Rust has put them: R sees a vector, and
   nothing is copied. There may be millions of rows, and memory of R's own that
   is as large makes it collect garbage. */

#include "column.h"
#include <R_ext/Altrep.h>

/* Of Rust. */
double *scoria_column_data(void *column);
size_t scoria_column_length(void *column);
void scoria_column_free(void *column);

static R_altrep_class_t column_class;

static void *column_of(SEXP x) {
    return R_ExternalPtrAddr(R_altrep_data1(x));
}

static R_xlen_t column_length(SEXP x) {
    return (R_xlen_t) scoria_column_length(column_of(x));
}

static void *column_dataptr(SEXP x, Rboolean writable) {
    (void) writable;
    return scoria_column_data(column_of(x));
}

static const void *column_dataptr_or_null(SEXP x) {
    return scoria_column_data(column_of(x));
}

static double column_elt(SEXP x, R_xlen_t i) {
    return scoria_column_data(column_of(x))[i];
}

static void column_finalize(SEXP pointer) {
    void *column = R_ExternalPtrAddr(pointer);
    if (column) {
        R_ClearExternalPtr(pointer);
        scoria_column_free(column);
    }
}

/* What R does not ask of the class here (to duplicate, subset, serialise), it
   does by way of the data, as with any vector. */
void scoria_define_column(DllInfo *dll) {
    column_class = R_make_altreal_class("column", "scoria", dll);
    R_set_altrep_Length_method(column_class, column_length);
    R_set_altvec_Dataptr_method(column_class, column_dataptr);
    R_set_altvec_Dataptr_or_null_method(column_class, column_dataptr_or_null);
    R_set_altreal_Elt_method(column_class, column_elt);
}

/* Called by Rust on R's thread, which gives the column away. */
SEXP scoria_column(void *column) {
    SEXP pointer = PROTECT(R_MakeExternalPtr(column, R_NilValue, R_NilValue));
    R_RegisterCFinalizerEx(pointer, column_finalize, FALSE);
    SEXP vector = R_new_altrep(column_class, pointer, R_NilValue);
    UNPROTECT(1);
    return vector;
}
