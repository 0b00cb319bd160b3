select now_us() as now
