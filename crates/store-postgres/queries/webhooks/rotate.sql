-- $3 secret, $4 how long the present one goes on signing
update webhooks set previous_secret = secret, previous_until = now_us() + $4, secret = $3 where tenant = $1 and id = $2
