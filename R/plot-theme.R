# What all plots share: colours, theme, words, and points that are drawn once ----

# Blue and vermillion of Okabe and Ito: told apart with any colour vision, and in
# grey they are darker than what is not significant.
change_colours <- function() {
  c(down = "#0072B2", none = "#B3B3B3", up = "#D55E00")
}

theme_quiet <- function() {
  ggplot2::theme_minimal(base_size = 11) +
    ggplot2::theme(
      panel.grid.minor = ggplot2::element_blank(),
      plot.title.position = "plot", plot.caption.position = "plot",
      plot.subtitle = ggplot2::element_text(colour = "grey30"),
      plot.caption = ggplot2::element_text(colour = "grey40", hjust = 0),
      plot.background = ggplot2::element_rect(fill = "white", colour = NA),
      legend.position = "top", legend.justification = "left",
      legend.margin = ggplot2::margin(0, 0, -6, 0),
      strip.text = ggplot2::element_text(face = "bold", hjust = 0)
    )
}

# Colours of what is significant, down and up.
scale_change <- function() {
  ggplot2::scale_colour_manual(
    values = change_colours(), breaks = c("down", "up", "none"),
    labels = c(down = "down", up = "up", none = "not significant"), name = NULL,
    guide = ggplot2::guide_legend(
      override.aes = list(size = 3, alpha = 1, shape = 16), order = 1
    )
  )
}

# Points, and those at the edge as triangles, which a legend explains.
points_and_edge <- function(rows, ...) {
  n <- nrow(rows)
  size <- if (n < 2000) 1.7 else if (n < 20000) 1.2 else 0.8
  c(
    ggplot2::geom_point(
      data = rows[!rows$edge, ], size = size, shape = 16, alpha = 0.8, ...
    ),
    if (any(rows$edge)) {
      list(
        ggplot2::geom_point(
          ggplot2::aes(shape = "beyond the axis"), rows[rows$edge, ],
          size = size + 0.7, alpha = 0.8, ...
        ),
        ggplot2::scale_shape_manual(
          values = 17, name = NULL,
          guide = ggplot2::guide_legend(
            override.aes = list(size = 2.5, alpha = 1, colour = "grey40"),
            order = 2
          )
        )
      )
    }
  )
}

check_ggplot2 <- function(to = "to draw results.") {
  rlang::check_installed("ggplot2", to)
}

# The text of an axis with so many names: of more than 60 nobody reads any.
names_of_axis <- function(n, upright = FALSE) {
  if (n > 60) {
    return(ggplot2::element_blank())
  }
  size <- if (n <= 25) 9 else if (n <= 40) 7 else 5.5
  if (upright && n > 4) {
    ggplot2::element_text(size = size, angle = 90, hjust = 1, vjust = 0.5)
  } else {
    ggplot2::element_text(size = size)
  }
}

# Names that fit beside an axis; the end tells guides of one target apart.
shorten <- function(names, most = 24) {
  long <- which(nchar(names) > most)
  end <- nchar(names[long])
  names[long] <- paste0(
    substr(names[long], 1, most - 11), "...", substr(names[long], end - 7, end)
  )
  names
}

# "1 pair", "2,000 pairs".
count_words <- function(n, noun) paste0(big(n), " ", noun, if (n != 1) "s")

# For each point the first of those that lie on the same spot, by number: only
# these need be drawn. `class` keeps apart what is not to hide each other.
first_on_spot <- function(x, y, class, spots = 500) {
  spot <- function(values) {
    finite <- values[is.finite(values)]
    if (length(finite) == 0) {
      return(sign(values))
    }
    low <- min(finite)
    width <- max(max(finite) - low, .Machine$double.eps)
    pmin(pmax(floor((values - low) / width * spots), -1), spots + 1)
  }
  class <- match(class, unique(class))
  key <- (class * (spots + 3) + spot(y)) * (spots + 3) + spot(x)
  match(key, key)
}

abort_nothing <- function(why, call) {
  scoria_abort(
    c("There is nothing to draw.", x = why), c("nothing", "argument"), call
  )
}

check_columns <- function(table, needed, call) {
  absent <- setdiff(needed, names(table))
  if (length(absent) > 0) {
    scoria_abort(c(
      "{.arg x} has no column {.field {absent}}.",
      i = "Tables of {.fn coefficient_table} and {.fn test_groups} can be drawn,
       and what {.fn fit_screen} returned."
    ), c("column", "argument"), call)
  }
}
