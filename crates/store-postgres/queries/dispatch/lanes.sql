select band, owed, turn from lanes where pool = $1
