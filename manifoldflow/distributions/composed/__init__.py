"""Laws made of other laws: of the factors of a product, ensembles; and laws taken apart."""
