#include "column.h"

void R_init_scoria_extendr(DllInfo *dll);
void register_extendr_panic_hook(void);

/* R's own registration, forwarded to Rust: naming a Rust symbol here also
   keeps the linker from dropping the static library. */
void R_init_scoria(DllInfo *dll) {
    register_extendr_panic_hook();
    R_init_scoria_extendr(dll);
    scoria_define_column(dll);
}

static void check_interrupt(void *unused) {
    (void) unused;
    R_CheckUserInterrupt();
}

/* Called by Rust on R's thread. The long jump of an interrupt stays inside C. */
int scoria_interrupted(void) {
    return !R_ToplevelExec(check_interrupt, NULL);
}
