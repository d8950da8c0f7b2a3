module livebox-agent/tools

go 1.26
