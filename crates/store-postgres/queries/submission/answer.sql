select key, fingerprint, answer from answers where tenant = $1 and key = $2
