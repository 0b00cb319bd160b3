update attempts set swept = 1
from json_each(?1) as c
where attempts.job = c.value ->> 'job' and attempts.epoch = c.value ->> 'epoch'
