module tidemill.example/peer-asynq

go 1.22

require github.com/hibiken/asynq v0.25.1
