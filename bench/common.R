# What every script here needs: the clock, the memory, the machine, and screens
# that are simulated once and kept.

options(width = 120)

say <- function(...) cat(..., "\n", sep = "")

# Time --------------------------------------------------------------------------

seconds <- function(code) {
  gc()
  system.time(code)[["elapsed"]]
}

# Seconds of each of some calls, the fastest of `rounds`: what else the machine
# does only adds to a time. In turns, so that a busy minute hits all of them.
fastest_each <- function(calls, rounds) {
  taken <- replicate(rounds, vapply(calls, function(run) seconds(run()), 0))
  apply(matrix(taken, length(calls), dimnames = list(names(calls), NULL)), 1, min)
}

# Nanoseconds a cell and pass: of the floor, and of its exponential and division
# alone. NA without cargo.
measure_floor <- function() {
  if (!nzchar(Sys.which("cargo"))) {
    say("No cargo here: the floor is not measured.")
    return(c(all = NA, exp_division = NA))
  }
  lines <- system2(
    "cargo", c("run", "--release", "--quiet", "--locked", "--example", "floor"),
    stdout = TRUE
  )
  say(paste0("Floor: ", lines, collapse = "\n"))
  stats::setNames(as.numeric(sub(" .*", "", lines[1:2])), c("all", "exp_division"))
}

# Memory --------------------------------------------------------------------------

# Resident memory of this process in MB: now (VmRSS), or at its highest (VmHWM).
# Linux only.
resident <- function(field) {
  line <- grep(field, readLines("/proc/self/status"), value = TRUE)
  as.numeric(gsub("[^0-9]", "", line)) / 1024
}

# The highest is counted from here.
reset_highest <- function() {
  invisible(gc())
  writeLines("5", "/proc/self/clear_refs")
}

# The machine ---------------------------------------------------------------------

describe_machine <- function() {
  first <- function(file, pattern) {
    line <- grep(pattern, readLines(file), value = TRUE)[1]
    trimws(sub("^[^:]*:", "", line))
  }
  memory <- as.numeric(sub(" kB", "", first("/proc/meminfo", "^MemTotal"))) / 2^20
  say(
    "# ", format(Sys.Date()), ", ", first("/proc/cpuinfo", "^model name"), ", ",
    parallel::detectCores(), " cores, ", round(memory), " GB; R ",
    paste(R.version$major, R.version$minor, sep = "."), ", scoria ",
    as.character(utils::packageVersion("scoria")), "; load ",
    sub(" [^ ]*$", "", readLines("/proc/loadavg"))
  )
  if (bench_scale() < 1) {
    say("# SCORIA_BENCH_SCALE=", bench_scale(), ": to try the script, not a result.")
  }
}

# Is a figure on the right side of the bar that it is held to?
report_bar <- function(what, value, side = c("<", ">"), bar) {
  side <- match.arg(side)
  met <- if (side == "<") value < bar else value > bar
  say(
    "bar: ", what, " ", signif(value, 3), " ", side, " ", bar, ": ",
    if (is.na(met)) "not measured" else if (met) "met" else "MISSED",
    if (bench_scale() < 1) " (at a smaller scale)"
  )
}

# Sizes and screens ---------------------------------------------------------------

# Below 1, sizes are smaller by this, to try a script.
bench_scale <- function() as.numeric(Sys.getenv("SCORIA_BENCH_SCALE", "1"))

scaled <- function(size, least = 1) max(least, round(size * bench_scale()))

# A file with what `make()` returns, made if it is not there. `key` holds what it
# depends on.
cached_file <- function(name, key, make) {
  folder <- Sys.getenv("SCORIA_BENCH_CACHE", path.expand("~/.cache/scoria/bench"))
  dir.create(folder, showWarnings = FALSE, recursive = TRUE)
  file <- file.path(folder, paste0(name, "-", substr(rlang::hash(key), 1, 8), ".rds"))
  if (!file.exists(file)) {
    say("# simulating ", name, " into ", file)
    part <- paste0(file, ".part")
    saveRDS(make(), part, compress = FALSE)
    file.rename(part, file)
    gc()
  }
  file
}

# The file of a screen that simulate_screen() makes with these arguments.
# `change()` may add to it, and is part of the key.
screen_file <- function(name, ..., change = identity) {
  arguments <- list(...)
  cached_file(name, list(arguments, deparse(change)), function() {
    change(do.call(scoria::simulate_screen, c(arguments, threads = 2)))
  })
}
