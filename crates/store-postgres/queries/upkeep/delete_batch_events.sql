delete from events where batch = $1
