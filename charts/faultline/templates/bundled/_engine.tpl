{{/* Service, account and the head of a StatefulSet of one pod. Takes root, name, values, port, user. */}}
{{- define "faultline.engine" }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "faultline.meta" . | nindent 2 }}
automountServiceAccountToken: false
---
apiVersion: v1
kind: Service
metadata:
  {{- include "faultline.meta" . | nindent 2 }}
spec:
  selector:
    {{- include "faultline.selector" . | nindent 4 }}
  ports:
    - port: {{ .port }}
      targetPort: {{ .port }}
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  {{- include "faultline.meta" . | nindent 2 }}
spec:
  serviceName: {{ include "faultline.fullname" .root }}-{{ .name }}
  replicas: 1
  selector:
    matchLabels:
      {{- include "faultline.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- with .values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- include "faultline.selector" . | nindent 8 }}
      {{- with .values.podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      serviceAccountName: {{ include "faultline.fullname" .root }}-{{ .name }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 60
      securityContext:
        {{- include "faultline.podSecurity" .user | nindent 8 }}
      {{- include "faultline.placement" . | trim | nindent 6 }}
{{- end }}

{{- define "faultline.engineClaim" }}
  volumeClaimTemplates:
    - metadata:
        name: data
        labels:
          {{- include "faultline.selector" . | nindent 10 }}
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .values.storage.storageClassName }}
        storageClassName: {{ . }}
        {{- end }}
        resources:
          requests:
            storage: {{ .values.storage.size }}
{{- end }}
