#ifndef SCORIA_COLUMN_H
#define SCORIA_COLUMN_H

#include <R.h>
#include <Rinternals.h>
#include <R_ext/Rdynload.h>

void scoria_define_column(DllInfo *dll);
SEXP scoria_column(void *column);

#endif
