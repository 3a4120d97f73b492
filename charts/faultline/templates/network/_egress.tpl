{{/* To one dependency: the bundled one, or the user's. Takes root, what. */}}
{{- define "faultline.egress" -}}
{{- $peers := index .root.Values.networkPolicy .what }}
{{- if (index .root.Values .what).bundled.enabled -}}
{{- $engine := index (dict "database" "postgres" "broker" "valkey" "store" "store") .what -}}
- ports: [{port: {{ index (dict "database" 5432 "broker" 6379 "store" 8333) .what }}}]
  to:
    - podSelector:
        matchLabels:
          {{- include "faultline.selector" (dict "root" .root "name" $engine) | nindent 10 }}
{{- else -}}
- ports: [{port: {{ $peers.port }}}]
  {{- with $peers.to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Public addresses, as the notifier itself sees to too, and what an operator adds. */}}
{{- define "faultline.noticesEgress" -}}
- to:
    - ipBlock:
        cidr: 0.0.0.0/0
        except: [10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16]
    - ipBlock:
        cidr: ::/0
        except: [fc00::/7, fe80::/10]
{{- with .Values.networkPolicy.notices }}
- to:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end }}
