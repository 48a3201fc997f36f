-- Wakes a worker that waits for one of these queues, because another that was woken has gone away.
--
-- ARGV[2…] queues
for at = 2, #ARGV do wake(ARGV[at]) end
finish_script()
return 1
