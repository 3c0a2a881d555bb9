/// What `/openapi.json` answers. A test holds it against the routes and the models.
enum OpenAPIDocument {
    static let json = """
        {
          "openapi": "3.1.0",
          "info": {
            "title": "Telepresence traffic manager",
            "version": "\(ManagerVersion.string)",
            "description": "Reachable in full only through SSH, as http://api.telepresence:8081. From the network it \
        answers /healthz, /readyz and /metrics."
          },
          "servers": [{ "url": "http://api.telepresence:8081" }],
          "paths": {
            "/healthz": {
              "get": {
                "summary": "Whether the process lives",
                "responses": { "200": { "$ref": "#/components/responses/Text" } }
              }
            },
            "/readyz": {
              "get": {
                "summary": "Whether the manager takes sessions and knows the cluster",
                "responses": {
                  "200": { "$ref": "#/components/responses/Text" },
                  "503": { "description": "One line for each reason", "content": { "text/plain": {} } }
                }
              }
            },
            "/metrics": {
              "get": {
                "summary": "Counters and gauges in the text format of Prometheus",
                "responses": {
                  "200": { "$ref": "#/components/responses/Text" },
                  "401": { "description": "In a cluster: no token, or one that is none" },
                  "403": { "description": "In a cluster: its rules do not permit the token's owner to get /metrics" },
                  "503": { "description": "In a cluster: the token cannot be checked now" }
                }
              }
            },
            "/openapi.json": {
              "get": {
                "summary": "This document",
                "responses": {
                  "200": { "description": "OpenAPI 3.1", "content": { "application/json": {} } },
                  "403": { "$ref": "#/components/responses/OnlyThroughSSH" }
                }
              }
            },
            "/v1/version": {
              "get": {
                "summary": "The manager's version",
                "responses": {
                  "200": {
                    "description": "The version",
                    "content": {
                      "application/json": { "schema": { "$ref": "#/components/schemas/VersionInfo" } }
                    }
                  },
                  "403": { "$ref": "#/components/responses/OnlyThroughSSH" }
                }
              }
            },
            "/v1/status": {
              "get": {
                "summary": "How the manager is",
                "responses": {
                  "200": {
                    "description": "The status",
                    "content": {
                      "application/json": { "schema": { "$ref": "#/components/schemas/ManagerStatus" } }
                    }
                  },
                  "403": { "$ref": "#/components/responses/OnlyThroughSSH" }
                }
              }
            },
            "/v1/cluster": {
              "get": {
                "summary": "The cluster's names and networks, for who makes a workstation a part of it",
                "responses": {
                  "200": {
                    "description": "The cluster",
                    "content": {
                      "application/json": { "schema": { "$ref": "#/components/schemas/ClusterInfo" } }
                    }
                  },
                  "403": { "$ref": "#/components/responses/OnlyThroughSSH" }
                }
              }
            },
            "/v1/services": {
              "get": {
                "summary": "The services a session can reach",
                "parameters": [
                  {
                    "name": "namespace", "in": "query", "schema": { "type": "string" },
                    "description": "Only the services of this namespace"
                  },
                  { "$ref": "#/components/parameters/watch" }
                ],
                "responses": {
                  "200": {
                    "description": "The services, or with watch=true a WatchEvent on each line",
                    "content": {
                      "application/json": {
                        "schema": {
                          "type": "object",
                          "required": ["items"],
                          "properties": {
                            "items": { "type": "array", "items": { "$ref": "#/components/schemas/ServiceInfo" } }
                          }
                        }
                      },
                      "application/jsonl": { "schema": { "$ref": "#/components/schemas/ServiceEvent" } }
                    }
                  },
                  "400": { "$ref": "#/components/responses/BadRequest" },
                  "403": { "$ref": "#/components/responses/OnlyThroughSSH" }
                }
              }
            },
            "/v1/sessions": {
              "get": {
                "summary": "The SSH sessions of the manager",
                "parameters": [{ "$ref": "#/components/parameters/watch" }],
                "responses": {
                  "200": {
                    "description": "The sessions, or with watch=true a WatchEvent on each line",
                    "content": {
                      "application/json": {
                        "schema": {
                          "type": "object",
                          "required": ["items"],
                          "properties": {
                            "items": { "type": "array", "items": { "$ref": "#/components/schemas/SessionInfo" } }
                          }
                        }
                      },
                      "application/jsonl": { "schema": { "$ref": "#/components/schemas/SessionEvent" } }
                    }
                  },
                  "400": { "$ref": "#/components/responses/BadRequest" },
                  "403": { "$ref": "#/components/responses/OnlyThroughSSH" }
                }
              }
            },
            "/v1/intercepts": {
              "get": {
                "summary": "The intercepts there are",
                "parameters": [{ "$ref": "#/components/parameters/watch" }],
                "responses": {
                  "200": {
                    "description": "The list, or with watch=true a WatchEvent on each line",
                    "content": {
                      "application/json": {
                        "schema": {
                          "type": "object",
                          "required": ["items"],
                          "properties": {
                            "items": { "type": "array", "items": { "$ref": "#/components/schemas/InterceptInfo" } }
                          }
                        }
                      },
                      "application/jsonl": {}
                    }
                  },
                  "400": { "$ref": "#/components/responses/BadRequest" },
                  "403": { "$ref": "#/components/responses/OnlyThroughSSH" }
                }
              }
            },
            "/v1/workloads": {
              "get": {
                "summary": "The workloads, and their intercepts",
                "parameters": [{ "$ref": "#/components/parameters/watch" }],
                "responses": {
                  "200": {
                    "description": "The list, or with watch=true a WatchEvent on each line",
                    "content": {
                      "application/json": {
                        "schema": {
                          "type": "object",
                          "required": ["items"],
                          "properties": {
                            "items": { "type": "array", "items": { "$ref": "#/components/schemas/WorkloadInfo" } }
                          }
                        }
                      },
                      "application/jsonl": {}
                    }
                  },
                  "400": { "$ref": "#/components/responses/BadRequest" },
                  "403": { "$ref": "#/components/responses/OnlyThroughSSH" }
                }
              }
            },
            "/v1/environment": {
              "get": {
                "summary": "The variables and mount points of a workload's container",
                "parameters": [
                  { "name": "workload", "in": "query", "required": true, "schema": { "type": "string" } },
                  { "name": "namespace", "in": "query", "schema": { "type": "string" } },
                  { "name": "container", "in": "query", "schema": { "type": "string" } }
                ],
                "responses": {
                  "200": { "description": "ProcessEnvironment", "content": { "application/json": {} } },
                  "400": { "$ref": "#/components/responses/BadRequest" },
                  "403": { "$ref": "#/components/responses/OnlyThroughSSH" },
                  "404": {
                    "description": "Why not",
                    "content": { "application/json": { "schema": { "$ref": "#/components/schemas/ErrorInfo" } } }
                  }
                }
              }
            },
            "/v1/agents": {
              "post": {
                "summary": "Puts a traffic agent beside a workload that has none",
                "parameters": [
                  { "name": "workload", "in": "query", "required": true, "schema": { "type": "string" } },
                  { "name": "namespace", "in": "query", "schema": { "type": "string" } }
                ],
                "responses": {
                  "202": { "description": "It is being put there, or is there", "content": { "application/json": {} } },
                  "400": { "$ref": "#/components/responses/BadRequest" },
                  "403": { "$ref": "#/components/responses/OnlyThroughSSH" },
                  "404": {
                    "description": "Why not",
                    "content": { "application/json": { "schema": { "$ref": "#/components/schemas/ErrorInfo" } } }
                  }
                }
              }
            },
            "/v1/agents/state": {
              "get": {
                "summary": "How far a workload's traffic agent is",
                "parameters": [
                  { "name": "workload", "in": "query", "required": true, "schema": { "type": "string" } },
                  { "name": "namespace", "in": "query", "schema": { "type": "string" } }
                ],
                "responses": {
                  "200": { "description": "AgentProgress", "content": { "application/json": {} } },
                  "400": { "$ref": "#/components/responses/BadRequest" },
                  "403": { "$ref": "#/components/responses/OnlyThroughSSH" }
                }
              }
            },
            "/v1/intercepts/check": {
              "get": {
                "summary": "Whether a tcpip-forward for a workload would be taken now",
                "parameters": [
                  { "name": "bind", "in": "query", "required": true, "schema": { "type": "string" } },
                  { "name": "port", "in": "query", "required": true, "schema": { "type": "integer" } }
                ],
                "responses": {
                  "200": { "description": "It would", "content": { "application/json": {} } },
                  "400": { "$ref": "#/components/responses/BadRequest" },
                  "403": { "$ref": "#/components/responses/OnlyThroughSSH" },
                  "409": {
                    "description": "Why not",
                    "content": { "application/json": { "schema": { "$ref": "#/components/schemas/ErrorInfo" } } }
                  }
                }
              }
            },
            "/v1/intercepts/revoke": {
              "post": {
                "summary": "Ends an intercept, whoever has it; for keys with the option admin",
                "parameters": [{ "name": "id", "in": "query", "required": true, "schema": { "type": "string" } }],
                "responses": {
                  "200": {
                    "description": "What it was",
                    "content": { "application/json": { "schema": { "$ref": "#/components/schemas/InterceptInfo" } } }
                  },
                  "400": { "$ref": "#/components/responses/BadRequest" },
                  "403": { "$ref": "#/components/responses/OnlyThroughSSH" },
                  "404": {
                    "description": "There is none of that name",
                    "content": { "application/json": { "schema": { "$ref": "#/components/schemas/ErrorInfo" } } }
                  }
                }
              }
            }
          },
          "components": {
            "parameters": {
              "watch": {
                "name": "watch", "in": "query", "schema": { "type": "boolean", "default": false },
                "description": "First every object as ADDED, then each change, until the connection ends"
              }
            },
            "responses": {
              "Text": {
                "description": "Plain text",
                "content": { "text/plain": { "schema": { "type": "string" } } }
              },
              "BadRequest": {
                "description": "A parameter has no meaning",
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/ErrorInfo" } } }
              },
              "OnlyThroughSSH": {
                "description": "Asked from the network",
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/ErrorInfo" } } }
              }
            },
            "schemas": {
              "ErrorInfo": {
                "type": "object",
                "required": ["error"],
                "properties": { "error": { "type": "string" } }
              },
              "VersionInfo": {
                "type": "object",
                "required": ["name", "version", "apiVersion"],
                "properties": {
                  "name": { "type": "string" },
                  "version": { "type": "string" },
                  "apiVersion": { "type": "integer" }
                }
              },
              "ClusterInfo": {
                "type": "object",
                "required": ["clusterDomain", "namespace", "namespaces", "subnets", "dnsSuffixes"],
                "properties": {
                  "clusterDomain": { "type": "string", "description": "The end of every full name" },
                  "namespace": { "type": "string", "description": "Where names without one are looked for" },
                  "namespaces": { "type": "array", "items": { "type": "string" } },
                  "subnets": {
                    "type": "array", "items": { "type": "string" },
                    "description": "Where pods and services are, in CIDR notation"
                  },
                  "dnsSuffixes": {
                    "type": "array", "items": { "type": "string" },
                    "description": "What names of the cluster end in"
                  }
                }
              },
              "Endpoints": {
                "type": "object",
                "required": ["ready", "total"],
                "properties": { "ready": { "type": "integer" }, "total": { "type": "integer" } }
              },
              "ServicePort": {
                "type": "object",
                "required": ["name", "port", "protocol", "targetPort"],
                "properties": {
                  "name": { "type": "string" },
                  "port": { "type": "integer", "minimum": 1, "maximum": 65535 },
                  "protocol": { "enum": ["TCP", "UDP", "SCTP"] },
                  "targetPort": { "type": "string" }
                }
              },
              "ServiceInfo": {
                "type": "object",
                "required": ["name", "namespace", "type", "clusterIPs", "ports", "endpoints"],
                "properties": {
                  "name": { "type": "string" },
                  "namespace": { "type": "string" },
                  "type": { "enum": ["ClusterIP", "Headless", "ExternalName"] },
                  "clusterIPs": { "type": "array", "items": { "type": "string" } },
                  "ports": { "type": "array", "items": { "$ref": "#/components/schemas/ServicePort" } },
                  "endpoints": { "$ref": "#/components/schemas/Endpoints" }
                }
              },
              "InterceptInfo": {
                "type": "object",
                "required": [
                  "id", "workload", "namespace", "kind", "port", "transport", "mode", "filter", "holder", "state", "since"
                ],
                "properties": {
                  "id": { "type": "string" },
                  "workload": { "type": "string" },
                  "namespace": { "type": "string" },
                  "kind": { "type": "string" },
                  "port": { "type": "integer", "description": "The service's" },
                  "transport": { "enum": ["TCP", "UDP"] },
                  "mode": { "enum": ["intercept", "wiretap"] },
                  "filter": { "type": "string", "description": "For people" },
                  "holder": { "type": "string" },
                  "session": { "type": "integer", "description": "Missing while the holder is away" },
                  "state": { "enum": ["ACTIVE", "WAITING", "NO_AGENT", "AGENT_ERROR"] },
                  "text": { "type": "string", "description": "Why it is not active" },
                  "since": { "type": "integer", "description": "Seconds since 1970" }
                }
              },
              "WorkloadInfo": {
                "type": "object",
                "required": ["kind", "name", "namespace", "services", "agents", "ports", "intercepts"],
                "properties": {
                  "kind": { "type": "string" },
                  "name": { "type": "string" },
                  "namespace": { "type": "string" },
                  "services": { "type": "array", "items": { "type": "string" } },
                  "agents": { "type": "integer" },
                  "ports": {
                    "type": "array", "items": { "type": "integer" }, "description": "Of the service, that lead to an agent"
                  },
                  "problem": { "type": "string", "description": "Why it cannot be intercepted; missing when it can" },
                  "intercepts": { "type": "array", "items": { "$ref": "#/components/schemas/InterceptInfo" } }
                }
              },
              "SessionInfo": {
                "type": "object",
                "required": [
                  "id", "user", "keyFingerprint", "keyComment", "clientVersion", "sourceAddress", "connectedAt",
                  "channels", "listeners", "bytesReceived", "bytesSent", "rekeys", "cipher", "keyExchange"
                ],
                "properties": {
                  "id": { "type": "integer" },
                  "user": { "type": "string" },
                  "keyFingerprint": { "type": "string" },
                  "keyComment": { "type": "string" },
                  "clientVersion": { "type": "string" },
                  "sourceAddress": { "type": "string" },
                  "connectedAt": { "type": "integer", "description": "Seconds since 1970" },
                  "channels": { "type": "integer" },
                  "listeners": { "type": "array", "items": { "type": "string" } },
                  "bytesReceived": { "type": "integer" },
                  "bytesSent": { "type": "integer" },
                  "rekeys": { "type": "integer" },
                  "cipher": { "type": "string" },
                  "keyExchange": { "type": "string" }
                }
              },
              "ManagerStatus": {
                "type": "object",
                "required": [
                  "version", "startedAt", "uptimeSeconds", "egress", "sessions", "channels", "listeners",
                  "bytesReceived", "bytesSent", "services", "endpoints", "problems"
                ],
                "properties": {
                  "version": { "$ref": "#/components/schemas/VersionInfo" },
                  "startedAt": { "type": "integer", "description": "Seconds since 1970" },
                  "uptimeSeconds": { "type": "integer" },
                  "egress": { "enum": ["cluster", "any"] },
                  "sessions": { "type": "integer" },
                  "channels": { "type": "integer" },
                  "listeners": { "type": "integer" },
                  "bytesReceived": { "type": "integer" },
                  "bytesSent": { "type": "integer" },
                  "services": { "type": "integer" },
                  "endpoints": { "$ref": "#/components/schemas/Endpoints" },
                  "problems": { "type": "array", "items": { "type": "string" } }
                }
              },
              "ServiceEvent": {
                "type": "object",
                "required": ["type", "object"],
                "properties": {
                  "type": { "enum": ["ADDED", "MODIFIED", "DELETED"] },
                  "object": { "$ref": "#/components/schemas/ServiceInfo" }
                }
              },
              "SessionEvent": {
                "type": "object",
                "required": ["type", "object"],
                "properties": {
                  "type": { "enum": ["ADDED", "MODIFIED", "DELETED"] },
                  "object": { "$ref": "#/components/schemas/SessionInfo" }
                }
              }
            }
          }
        }

        """
}
