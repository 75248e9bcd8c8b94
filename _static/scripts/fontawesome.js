/* The icons come from the fonts that the theme brings as well: 1.4 MB less for each reader. */
