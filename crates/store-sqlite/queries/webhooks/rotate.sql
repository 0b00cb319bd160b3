-- ?3 secret, ?4 until when the present one goes on signing
update webhooks set previous_secret = secret, previous_until = ?4, secret = ?3 where tenant = ?1 and id = ?2
