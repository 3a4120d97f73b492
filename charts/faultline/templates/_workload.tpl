{{/*
A Deployment of ours with its service account and disruption budget. Takes root, name, values, module, kind (api, loop,
worker), needs; of workers: pools.
*/}}
{{- define "faultline.workload" -}}
{{- include "faultline.account" . }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "faultline.meta" . | nindent 2 }}
spec:
  {{- $scaling := .values.autoscaling | default dict }}
  {{- if not $scaling.enabled }}
  replicas: {{ .values.replicas }}
  {{- end }}
  revisionHistoryLimit: 3
  strategy:
    {{- if eq (.values.resourceClass | default "cpu") "gpu" }}
    type: Recreate  # a new pod would wait for the GPU that the old one has
    {{- else }}
    type: RollingUpdate
    {{- end }}
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
      {{- include "faultline.podSpec" . | nindent 6 }}
{{- include "faultline.budget" . }}
{{- end }}

{{- define "faultline.account" }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "faultline.meta" . | nindent 2 }}
  {{- with .values.serviceAccount.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}

{{- define "faultline.budget" }}
{{- if .values.podDisruptionBudget.enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "faultline.meta" . | nindent 2 }}
spec:
  maxUnavailable: {{ .values.podDisruptionBudget.maxUnavailable }}
  selector:
    matchLabels:
      {{- include "faultline.selector" . | nindent 6 }}
{{- end }}
{{- end }}

{{/* Longer than a checkpoint may take, or than open requests may: after it comes SIGKILL. */}}
{{- define "faultline.grace" -}}
{{- $own := .values.terminationGracePeriodSeconds | int }}
{{- if eq .kind "worker" }}
{{- $checkpoint := .root.Values.settings.checkpoint_grace_s | default 25 | float64 | ceil | int }}
{{- if and $own (lt $own (add $checkpoint 15 | int)) }}
{{- fail (printf "%s: terminationGracePeriodSeconds is %d, but a checkpoint may take %d s (settings.checkpoint_grace_s). Set at least %d, or 0 to let it follow." .name $own $checkpoint (add $checkpoint 15)) }}
{{- end }}
{{- $own | default (add $checkpoint 60) }}
{{- else if eq .kind "api" }}
{{- $open := add .values.preStopSeconds .values.gracefulShutdownSeconds | int }}
{{- if and $own (lt $own (add $open 5 | int)) }}
{{- fail (printf "%s: terminationGracePeriodSeconds is %d, but preStopSeconds and gracefulShutdownSeconds take %d s. Set at least %d, or 0 to let it follow." .name $own $open (add $open 5)) }}
{{- end }}
{{- $own | default (add $open 10) }}
{{- else }}
{{- $own | default 30 }}
{{- end }}
{{- end }}

{{- define "faultline.spread" -}}
{{- if .values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml .values.topologySpreadConstraints | nindent 2 }}
{{- else if ne (.values.resourceClass | default "cpu") "gpu" }}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "faultline.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "faultline.podSpec" -}}
serviceAccountName: {{ include "faultline.fullname" .root }}-{{ .name }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ include "faultline.grace" . }}
{{- with .values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
securityContext:
  {{- include "faultline.podSecurity" 10001 | nindent 2 }}
{{- include "faultline.placement" . }}
{{ include "faultline.spread" . }}
initContainers:
  - name: wait-for-schema
    {{- include "faultline.waiting" (dict "root" .root "image" .values.image "what" "schema" "needs" (list)) | nindent 4 }}
containers:
  - name: {{ .container }}
    image: {{ include "faultline.image" (dict "root" .root "image" .values.image) }}
    imagePullPolicy: {{ .root.Values.image.pullPolicy }}
    command: [python, -m, {{ .module }}]
    env:
      {{- include "faultline.env" . | nindent 6 }}
      {{- include "faultline.ownEnv" . | nindent 6 }}
    ports:
      {{- if eq .kind "api" }}
      - name: http
        containerPort: 8000
      {{- else }}
      - name: metrics
        containerPort: 9100
      {{- end }}
    {{- include (eq .kind "api" | ternary "faultline.apiProbes" "faultline.metricsProbes") . | nindent 4 }}
    resources:
      {{- include "faultline.resources" .values | nindent 6 }}
    securityContext:
      {{- include "faultline.containerSecurity" . | nindent 6 }}
    volumeMounts:
      {{- include "faultline.mounts" . | nindent 6 }}
volumes:
  {{- include "faultline.volumes" . | nindent 2 }}
{{- end }}

{{/* A container that runs files/wait.py. Takes root, image, what. */}}
{{- define "faultline.waiting" -}}
image: {{ include "faultline.image" . }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
command:
  - python
  - -c
  - |
    {{- .root.Files.Get "files/wait.py" | nindent 4 }}
  - {{ .what }}
  - {{ .root.Values.migrations.waitSeconds | quote }}
env:
  {{- include "faultline.env" . | nindent 2 }}
resources:
  {{- toYaml .root.Values.migrations.resources | nindent 2 }}
securityContext:
  {{- include "faultline.containerSecurity" . | nindent 2 }}
volumeMounts:
  {{- include "faultline.sharedMounts" . | nindent 2 }}
{{- end }}

{{/* What one kind of process has besides the common. */}}
{{- define "faultline.ownEnv" -}}
{{- if eq .kind "api" }}
- name: FAULTLINE_API_HOST
  value: 0.0.0.0
- name: FAULTLINE_API_PORT
  value: "8000"
- name: FAULTLINE_GRACEFUL_SHUTDOWN_S
  value: {{ .values.gracefulShutdownSeconds | quote }}
{{- with .values.forwardedAllowIps }}
- name: FORWARDED_ALLOW_IPS
  value: {{ . | quote }}
{{- end }}
{{- else }}
- name: FAULTLINE_METRICS_PORT
  value: "9100"
{{- end }}
{{- if eq .kind "worker" }}
- name: FAULTLINE_WORKER_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: FAULTLINE_WORKER_POOLS
  value: {{ toJson .pools | quote }}
- name: FAULTLINE_WORKER_SLOTS
  value: {{ .values.slots | quote }}
- name: FAULTLINE_WORK_DIR
  value: /work
- name: PROMETHEUS_MULTIPROC_DIR
  value: /run/faultline/metrics
{{- range list "OMP_NUM_THREADS" "OPENBLAS_NUM_THREADS" "MKL_NUM_THREADS" "NUMEXPR_NUM_THREADS" }}
- name: {{ . }}
  value: {{ $.values.threads | quote }}
{{- end }}
{{- end }}
{{- if eq .name "notifier" }}
{{- with .values.smtp.existingSecret }}
{{ include "faultline.fromSecret" (dict "env" "FAULTLINE_SMTP_PASSWORD" "secret" . "key" $.values.smtp.passwordKey) }}
{{- end }}
{{- end }}
{{- range $name, $value := .values.env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "faultline.resources" -}}
{{- $resources := deepCopy .resources }}
{{- if eq (.resourceClass | default "cpu") "gpu" }}
{{- $_ := set $resources "limits" (set ($resources.limits | default dict) .gpuResource "1") }}
{{- end }}
{{- toYaml $resources }}
{{- end }}

{{- define "faultline.apiProbes" -}}
startupProbe:
  httpGet: {path: /livez, port: http}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /livez, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 5
  timeoutSeconds: 3
lifecycle:
  preStop:
    exec:
      command: [python, -c, "import time; time.sleep({{ .values.preStopSeconds }})"]
{{- end }}

{{/*
The main process of a worker serves metrics once it consumes and stands in the database, and whatever happens to the
broker afterwards: an outage restarts nothing. A worker that does not answer for two minutes is restarted.
*/}}
{{- define "faultline.metricsProbes" -}}
startupProbe:
  httpGet: {path: /metrics, port: metrics}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /metrics, port: metrics}
  periodSeconds: 30
  timeoutSeconds: 10
  failureThreshold: 4
readinessProbe:
  httpGet: {path: /metrics, port: metrics}
  periodSeconds: 15
  timeoutSeconds: 10
  failureThreshold: 2
{{- end }}

{{- define "faultline.sharedMounts" -}}
- name: tmp
  mountPath: /tmp
{{- if .root.Values.caBundle.existingSecret }}
- name: ca
  mountPath: /etc/faultline/ca
  readOnly: true
{{- end }}
{{- end }}

{{- define "faultline.mounts" -}}
{{ include "faultline.sharedMounts" . }}
{{- if eq .kind "worker" }}
- name: work
  mountPath: /work
- name: run
  mountPath: /run/faultline
{{- end }}
{{- if .values.shmSize }}
- name: shm
  mountPath: /dev/shm
{{- end }}
{{- end }}

{{- define "faultline.sharedVolumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: 2Gi
{{- with .root.Values.caBundle.existingSecret }}
- name: ca
  secret:
    secretName: {{ . }}
{{- end }}
{{- end }}

{{- define "faultline.volumes" -}}
{{ include "faultline.sharedVolumes" . }}
{{- if eq .kind "worker" }}
- name: work
  emptyDir:
    sizeLimit: {{ .values.workDirSize }}
- name: run
  emptyDir:
    medium: Memory
    sizeLimit: 64Mi
{{- end }}
{{- if .values.shmSize }}
- name: shm
  emptyDir:
    medium: Memory
    sizeLimit: {{ .values.shmSize }}
{{- end }}
{{- end }}
